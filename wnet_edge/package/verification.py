"""Verification of a package's bytes, before any member is used.

Checks the archive's canonical form, the manifest's own hash, the signature, the schema, every
SHA-256, and that every graph is one that export could have written.
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
    """Verified members of a package.

    Attributes:
        manifest: decoded and checked manifest.
        members: name to content of every file in the manifest.
        costs: memory and work of each graph; None for a compiled one.
        signature: None if there is none; verified only if a trusted key was given.
    """

    manifest: Manifest
    members: Mapping[str, bytes]
    costs: Mapping[Precision, Cost | None]
    signature: Signature | None


def seal(manifest_json: bytes) -> bytes:
    """Comment of the archive: the manifest's hash, which the manifest can't contain itself."""
    return hashlib.sha256(manifest_json).hexdigest().encode("ascii")


def verified_members(path: Path, data: bytes, trusted: PublicKey | None) -> VerifiedMembers:
    """Verify a package's bytes and return its members; `path` is used in messages.

    Raises:
        ValueError: if the package is damaged.
        PackageError: if it is of another schema version.
        SignatureError: if it has no valid signature by `trusted`.
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
    """Remove the signature, if there is one, from `members` and verify it."""
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
    """Refuse an intact package of another schema version, with its own message."""
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
