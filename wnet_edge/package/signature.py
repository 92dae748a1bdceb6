"""Package signatures: Ed25519 over the hash of the manifest, which in turn covers all members.

For sites that accept only packages signed by a known key. The signature is the last, optional
member of the archive. The `cryptography` library is imported only where a key is used, so that an
edge install without keys does not need it.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wnet_edge.canonical_json import canonical_json, from_canonical_json
from wnet_edge.errors import SignatureError
from wnet_edge.host.inputs import input_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_FILE = "signature.json"

_CONTEXT = b"wnet-edge package, SHA-256 of its manifest: "
"""Prefix of the signed message, so that a signature made for another purpose is not valid here."""

_LARGEST_KEY_BYTES = 65536


@dataclass(frozen=True)
class Signature:
    """Signature as stored in a package, not yet verified (see `check_signature`).

    Attributes:
        public_key: Ed25519 public key (RFC 8032), 32 bytes in hex.
        signature: 64 bytes in hex.
    """

    public_key: str
    signature: str


@dataclass(frozen=True)
class PrivateKey:
    """A private key for signing, and the file it was read from."""

    path: Path
    key: "Ed25519PrivateKey" = field(repr=False)


@dataclass(frozen=True)
class PublicKey:
    """A trusted public key, and the file it was read from."""

    path: Path
    key: "Ed25519PublicKey"


def read_private_key(path: Path) -> PrivateKey:
    """Read an unencrypted Ed25519 private key from a PEM file.

    Raises:
        SignatureError: if the file has no such key, or `cryptography` is not installed.
    """
    _require_library(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_pem(path), password=None)
    except TypeError as error:
        raise SignatureError(
            f"{path}: the key has a passphrase; take it off with openssl pkey -in KEY -out PLAIN"
        ) from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(
            f"{path}: is not an Ed25519 private key in PEM; make one with "
            "openssl genpkey -algorithm ed25519 -out KEY"
        )
    return PrivateKey(path, key)


def read_public_key(path: Path) -> PublicKey:
    """Read an Ed25519 public key from a PEM file.

    Raises:
        SignatureError: if the file has no such key, or `cryptography` is not installed.
    """
    _require_library(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_pem(path))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(
            f"{path}: is not an Ed25519 public key in PEM; take it from the private one with "
            "openssl pkey -in KEY -pubout -out PUBKEY"
        )
    return PublicKey(path, key)


def signature_json(manifest_json: bytes, key: PrivateKey) -> bytes:
    """Sign a manifest: bytes of `signature.json`, the same for the same key and manifest."""
    signed = key.key.sign(_message(manifest_json))
    return canonical_json(Signature(key.key.public_key().public_bytes_raw().hex(), signed.hex()))


def signature_from(member: bytes) -> Signature:
    """Decode `signature.json`; checks its form, not its validity.

    Raises:
        ValueError: if it is malformed.
    """
    signature = from_canonical_json(Signature, member, SIGNATURE_FILE)
    if not re.fullmatch(r"[0-9a-f]{64}", signature.public_key):
        raise ValueError(f"{SIGNATURE_FILE} holds no Ed25519 public key")
    if not re.fullmatch(r"[0-9a-f]{128}", signature.signature):
        raise ValueError(f"{SIGNATURE_FILE} holds no Ed25519 signature")
    return signature


def check_signature(signature: Signature | None, manifest_json: bytes, trusted: PublicKey) -> None:
    """Verify that the manifest was signed with the private key of `trusted`.

    Raises:
        SignatureError: if it was not; the message lacks the package's name.
    """
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise SignatureError(
            f"is not signed, but {trusted.path} is to be trusted; get it signed by its maker "
            "(export --sign)"
        )
    if signature.public_key != trusted.key.public_bytes_raw().hex():
        raise SignatureError(
            f"claims to be signed by {signature.public_key}, which is not the key in "
            f"{trusted.path}; get the package, or the key, from whom you trust"
        )
    try:
        trusted.key.verify(bytes.fromhex(signature.signature), _message(manifest_json))
    except InvalidSignature as error:
        raise SignatureError(
            f"its signature is not of the key in {trusted.path}, which it names; get the package "
            "again from its maker"
        ) from error


def _message(manifest_json: bytes) -> bytes:
    return _CONTEXT + hashlib.sha256(manifest_json).hexdigest().encode("ascii")


def _require_library(path: Path) -> None:
    try:
        import cryptography  # noqa: F401 - only to see whether it is installed
    except ImportError as error:
        raise SignatureError(
            f"{path}: signatures need the cryptography library: pip install 'wnet-edge[sign]'"
        ) from error


def _pem(path: Path) -> bytes:
    input_file(path, SignatureError, "name a key in PEM")
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SignatureError(
            f"{path}: can't be read ({reason.lower()}); name a key in PEM"
        ) from error
