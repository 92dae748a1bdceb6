"""Ed25519 keys that are the same in every run, for tests that sign."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wnet_edge.package.signature import PrivateKey, PublicKey


def private_key(seed: int) -> PrivateKey:
    """The private key of a seed."""
    return PrivateKey(Path("key.pem"), Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32)))


def public_key(seed: int) -> PublicKey:
    """The public half of `private_key(seed)`."""
    return PublicKey(Path("key.pub"), private_key(seed).key.public_key())


def write_keys(folder: Path, name: str, seed: int) -> tuple[Path, Path]:
    """NAME.pem and NAME.pub, as openssl writes them."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        private_key(seed).key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        public_key(seed).key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public
