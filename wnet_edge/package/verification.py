"""The bytes of a package to its members, each of which is what the package's maker wrote.

Everything that has to be asked before any member is used: the archive's form, the manifest's own
hash, a signature, the schema, every SHA-256, and that every graph is one that export could have
written.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.canonical_json import from_canonical_json
from wnet_edge.errors import PackageError, SignatureError
from wnet_edge.package.archive import archive_members
from wnet_edge.package.graph.check import MAX_GOLDEN_OPERATIONS, Cost, check_graph
from wnet_edge.package.manifest import (
    MANIFEST_FILE,
    SCHEMA_VERSION,
    Manifest,
    MemberEntry,
    Precision,
)
from wnet_edge.package.manifest_checks import check_manifest, schema_version
from wnet_edge.package.signature import (
    SIGNATURE_FILE,
    PublicKey,
    Signature,
    check_signature,
    signature_from,
)

MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class VerifiedMembers:
    """What a package's bytes hold.

    Attributes:
        manifest: decoded and checked.
        members: name to content of every file that the manifest names.
        costs: what each graph takes; None of a compiled one.
        signature: None if there is none; checked only if a key was to be trusted.
    """

    manifest: Manifest
    members: Mapping[str, bytes]
    costs: Mapping[Precision, Cost | None]
    signature: Signature | None


def seal(manifest_json: bytes) -> bytes:
    """The archive's comment: the one hash that the manifest can't hold is its own."""
    return hashlib.sha256(manifest_json).hexdigest().encode("ascii")


def verified_members(path: Path, data: bytes, trusted: PublicKey | None) -> VerifiedMembers:
    """The members of a package; `path` is for the errors.

    Raises:
        ValueError: if they are not to the byte what was written.
        PackageError: if they are of another schema.
        SignatureError: if they do not bear a signature of `trusted`.
    """
    members, comment = archive_members(data)
    manifest_json = members.get(MANIFEST_FILE, b"")
    if len(manifest_json) > MAX_MANIFEST_BYTES:
        raise ValueError("the manifest is too large")
    if comment != seal(manifest_json):
        raise ValueError("the manifest does not match its own hash")
    signature = _signature(path, members, manifest_json, trusted)
    _check_schema(path, schema_version(manifest_json))
    manifest = from_canonical_json(Manifest, manifest_json)
    check_manifest(manifest)
    expected = [MANIFEST_FILE, *(entry.file for entry in manifest.members())]
    if list(members) != expected:
        raise ValueError(f"it holds {', '.join(members)[:200]!r} instead of {', '.join(expected)}")
    for entry in manifest.members():
        if MemberEntry.of(entry.file, members[entry.file]) != entry:
            raise ValueError(f"{entry.file} does not match the manifest")
    costs = {
        kind: check_graph(
            kind.file,
            members[kind.file],
            manifest.window_px,
            manifest.batch_size,
            compiled=manifest.compiled is not None,
        )
        for kind in manifest.kinds()
    }
    for kind, cost in costs.items():
        golden = manifest.golden.frames * (0 if cost is None else cost.operations_per_frame)
        if golden > MAX_GOLDEN_OPERATIONS:
            raise ValueError(
                f"{kind.file} takes {golden} multiply-adds for the golden frames, more than "
                f"{MAX_GOLDEN_OPERATIONS}"
            )
    return VerifiedMembers(manifest, members, costs, signature)


def _signature(
    path: Path, members: dict[str, bytes], manifest_json: bytes, trusted: PublicKey | None
) -> Signature | None:
    """Take the signature, the last member if there is one, out of `members`, and check it."""
    signature = None
    if members and next(reversed(members)) == SIGNATURE_FILE:
        signature = signature_from(members.pop(SIGNATURE_FILE))
    if trusted is not None:
        try:
            check_signature(signature, manifest_json, trusted)
        except SignatureError as error:
            raise SignatureError(f"{path}: {error}") from error
    return signature


def _check_schema(path: Path, found: int) -> None:
    """Whole, but of another version: that has another cure than damage."""
    if found > SCHEMA_VERSION:
        raise PackageError(
            f"{path}: made by a newer wnet-edge (schema_version is {found}, this one reads "
            f"{SCHEMA_VERSION}); update wnet-edge: pip install --upgrade wnet-edge"
        )
    if found < SCHEMA_VERSION:
        raise PackageError(
            f"{path}: made by an older wnet-edge (schema_version is {found}, this one reads "
            f"{SCHEMA_VERSION}); export it again"
        )
