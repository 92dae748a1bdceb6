"""Signed packages: trusted when the key is right, refused in one line when it is not."""

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from signing import private_key, public_key, write_keys
from tiny import content

from wnet_edge.errors import PackageError, SignatureError
from wnet_edge.package.archive import archive_bytes, archive_members
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import package_bytes, write_package
from wnet_edge.package.signature import read_private_key, read_public_key

MINE, OTHER = 1, 2


@pytest.fixture
def signed(tmp_path):
    path = tmp_path / "signed.wnet"
    write_package(path, content(), key=private_key(MINE))
    return path


def with_signature(data, change):
    """The package with another `signature.json`, None for none."""
    members, comment = archive_members(data)
    member = change(members.pop("signature.json", None))
    return archive_bytes(members | ({"signature.json": member} if member else {}), comment)


def test_a_signed_package_is_trusted(signed):
    package = open_package(signed, public_key(MINE))
    assert package.signature.public_key == public_key(MINE).key.public_bytes_raw().hex()
    assert open_package(signed).signature == package.signature
    assert package.manifest == open_package(signed).manifest


def test_the_signature_is_the_last_member_and_the_only_difference():
    plain, data = package_bytes(content()), package_bytes(content(), private_key(MINE))
    assert data == package_bytes(content(), private_key(MINE))
    assert list(archive_members(data)[0])[-1] == "signature.json"
    assert with_signature(data, lambda _: None) == plain


def other_digit(member, at):
    return member[:at] + (b"1" if member[at : at + 1] == b"0" else b"0") + member[at + 1 :]


def signature_by(seed, **changes):
    """`signature.json` of another package or key."""
    members, _ = archive_members(package_bytes(content(**changes), private_key(seed)))
    return members["signature.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "is not signed"),
        (lambda old: other_digit(old, len(old) - 5), "its signature is not of the key"),
        (lambda _: signature_by(OTHER), "claims to be signed by"),
        (lambda _: signature_by(MINE, model="other"), "its signature is not of the key"),
    ],
    ids=["none", "another digit", "another key", "another package"],
)
def test_other_signatures_are_not_trusted(signed, change, message):
    signed.write_bytes(with_signature(signed.read_bytes(), change))
    with pytest.raises(SignatureError, match=message) as caught:
        open_package(signed, public_key(MINE))
    assert str(caught.value).startswith(f"{signed}: ")
    assert "; " in str(caught.value)


def test_a_changed_manifest_is_not_trusted(signed):
    # Whole in every hash, with the old signature.
    members, _ = archive_members(signed.read_bytes())
    other, comment = archive_members(package_bytes(content(model="other")))
    data = archive_bytes(other | {"signature.json": members["signature.json"]}, comment)
    signed.write_bytes(data)
    assert open_package(signed).manifest.model == "other"
    with pytest.raises(SignatureError, match="is not of the key"):
        open_package(signed, public_key(MINE))


@pytest.mark.parametrize(
    "member",
    [
        b"{}",
        b'{"public_key": "", "signature": ""}',
        b'{\n  "public_key": "' + b"0" * 64 + b'",\n  "signature": "' + b"0" * 127 + b'g"\n}\n',
        b"[" * 100_000,
    ],
)
def test_a_signature_has_one_form(signed, member):
    signed.write_bytes(with_signature(signed.read_bytes(), lambda _: member))
    with pytest.raises(PackageError, match="not an intact package"):
        open_package(signed)


def test_a_signature_has_one_place(signed):
    members, comment = archive_members(signed.read_bytes())
    signed.write_bytes(archive_bytes(dict(reversed(members.items())), comment))
    with pytest.raises(PackageError, match="instead of"):
        open_package(signed)


def test_keys_are_those_of_openssl(tmp_path):
    private, public = write_keys(tmp_path, "key", MINE)
    assert read_private_key(private).key.private_bytes_raw() == bytes([MINE] * 32)
    assert read_public_key(public).key == public_key(MINE).key


@pytest.mark.parametrize("read", [read_private_key, read_public_key])
def test_bad_keys_are_told_in_one_line(tmp_path, read):
    other = generate_private_key(SECP256R1())
    pem = serialization.Encoding.PEM
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    contents = {
        "empty": b"",
        "text": b"-----BEGIN PRIVATE KEY-----\nhello\n-----END PRIVATE KEY-----\n",
        "curve": other.private_bytes(pem, pkcs8, plain),
        "public curve": other.public_key().public_bytes(
            pem, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SignatureError, match=r"is not an Ed25519 .* key in PEM; .*openssl"):
            read(tmp_path / name)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SignatureError, match=r"(no such file|is a folder); name a key"):
            read(path)


def test_a_key_with_a_passphrase(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(
        private_key(MINE).key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(SignatureError, match="passphrase; take it off with openssl"):
        read_private_key(path)


def test_verify_inspect_and_infer_ask_for_the_key(call, here, known):
    _, mine = write_keys(here, "mine", MINE)
    _, other = write_keys(here, "other", OTHER)
    write_package(here / "signed.wnet", known.content(), key=private_key(MINE))
    hexadecimal = public_key(MINE).key.public_bytes_raw().hex()
    commands = {
        "verify": ("verify", "{}", "--json", "--provider", "cpu"),
        "inspect": ("inspect", "{}", "--json"),
        "infer": ("infer", "scan.cxi", "--package", "{}", "--force", "--provider", "cpu"),
    }
    for words in commands.values():
        named = [word.replace("{}", "signed.wnet") for word in words]
        plain = [word.replace("{}", "known.wnet") for word in words]
        refused = call(*named, "--trust", other)
        assert refused[0] == 1
        assert (
            f"claims to be signed by {hexadecimal}, which is not the key in {other}" in refused[2]
        )
        refused = call(*plain, "--trust", mine)
        assert refused[2].startswith(f"Error: known.wnet: is not signed, but {mine}")
        refused = call(*named, "--trust", "gone.pub")
        assert refused[2].startswith("Error: gone.pub: no such file")
        assert not (here / "scan.wnet.h5").exists()
    # The golden outputs of a known scan's package are not its graph's: 1, but past the key.
    trusted = json.loads(call(*_named(commands["verify"]), "--trust", mine)[1])
    assert trusted["signature"] == {"public_key": hexadecimal, "checked": True}
    shown = json.loads(call(*_named(commands["inspect"]))[1])
    assert shown["signature"] == {"public_key": hexadecimal, "checked": False}
    assert call(*_named(commands["infer"]), "--trust", mine)[0] == 0
    assert f"  public_key: {hexadecimal}\n  checked: no" in call("inspect", "signed.wnet")[1]
    assert "signature: none" in call("inspect", "known.wnet")[1]
    said = call("verify", "signed.wnet", "--provider", "cpu")[1]
    assert f"claims to be signed by {hexadecimal} (--trust checks it)" in said
    assert call("inspect", "scan.cxi", "--trust", mine)[0] == 2


def _named(words):
    return [word.replace("{}", "signed.wnet") for word in words]


def test_only_trust_needs_the_library(signed):
    # A fresh interpreter in which `cryptography` can't be imported.
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from wnet_edge.cli.main import main\n"
        "sys.argv = ['wnet-edge', *sys.argv[1:]]\n"
        "main()\n"
    )

    def said(*words):
        line = [sys.executable, "-c", script, *words]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    assert said("inspect", str(signed)).returncode == 0
    refused = said("inspect", str(signed), "--trust", "key.pub")
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: key.pub: signatures need the cryptography library: pip install 'wnet-edge[sign]'\n"
    )
