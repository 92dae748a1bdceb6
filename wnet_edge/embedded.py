"""Files that ship with wnet-edge: packages, an example scan with its reconstruction, weights.

The only place with their paths, and with the names that commands and programs accept: `w3` for a
package, `example:scan247` for a scan.
"""

import os
from importlib.resources import files
from pathlib import Path

from wnet_edge.errors import CheckpointError, PackageError, ScanError
from wnet_edge.package.opening import PACKAGE_SUFFIX, Package, open_package
from wnet_edge.package.signature import read_public_key

_HERE = Path(str(files("wnet_edge")))
_EXAMPLES = _HERE / "examples"

EXAMPLE_SCAN = _EXAMPLES / "cnm26id_scan247_64px.cxi"
EXAMPLE_REFERENCE = _EXAMPLES / "cnm26id_scan247_reference.npz"
EXAMPLE_SETTLED = _EXAMPLES / "cnm26id_scan247_settled.npz"
EXAMPLE_LICENCE = _EXAMPLES / "LICENSE.tike"

_CHECKPOINT_SUFFIX = ".safetensors"
_SHIPPED_FOR = f"-cnm26id{_CHECKPOINT_SUFFIX}"

PREFIX = "example:"
EXAMPLES = {
    "scan247": EXAMPLE_SCAN,
    "scan247-reference": EXAMPLE_REFERENCE,
    "scan247-settled": EXAMPLE_SETTLED,
}
"""Example files by name."""


def find_package(name_or_file: str) -> Path:
    """Path of a package: a file if the text ends in `.wnet` or has a path separator.

    Any other text is the name of an embedded package.

    Raises:
        PackageError: if no embedded package has that name.
    """
    if name_or_file.endswith(PACKAGE_SUFFIX) or "/" in name_or_file or "\\" in name_or_file:
        return Path(name_or_file)
    embedded = embedded_packages()
    if name_or_file not in embedded:
        available = ", ".join(sorted(embedded)) or "none"
        raise PackageError(
            f"{name_or_file}: no embedded package of that name (available: {available}); "
            f"a package file's name ends in {PACKAGE_SUFFIX}"
        )
    return embedded[name_or_file]


def opened_package(name_or_file: str | os.PathLike[str], trust: Path | None = None) -> Package:
    """The package of this name or in this file, signed by the key in the file `trust` if given.

    Text may be a name, as for `find_package`; a path is always a file.

    Raises:
        PackageError: as `find_package` and `open_package`.
        SignatureError: as `read_public_key` and `open_package`.
    """
    trusted = None if trust is None else read_public_key(trust)
    is_text = isinstance(name_or_file, str)
    path = find_package(str(name_or_file)) if is_text else Path(name_or_file)
    return open_package(path, trusted)


def embedded_packages() -> dict[str, Path]:
    """Packages that ship with wnet-edge: name to path."""
    return {path.stem: path for path in sorted((_HERE / "packages").glob(f"*{PACKAGE_SUFFIX}"))}


def resolved(text: str) -> str:
    """Resolve `example:NAME[:DATASET]` to the path of the example; other text is returned as is.

    Raises:
        ScanError: if there is no such example.
    """
    if not text.startswith(PREFIX):
        return text
    name, colon, dataset = text.removeprefix(PREFIX).partition(":")
    if name not in EXAMPLES:
        known = ", ".join(PREFIX + known for known in EXAMPLES)
        raise ScanError(
            f"{PREFIX}{name}: no such example; choose from {known}, or ./{PREFIX}{name}"
        )
    return f"{EXAMPLES[name]}{colon}{dataset}"


def path_of(file: str | os.PathLike[str]) -> Path:
    """The path that a text, a path or `example:NAME` names.

    Raises:
        ScanError: if there is no such example.
    """
    return Path(resolved(os.fspath(file)))


def named(text: str) -> Path:
    """Path after which outputs are named: as typed, or the name of an example."""
    return Path(text.removeprefix(PREFIX))


def find_checkpoint(name_or_file: str) -> Path:
    """Path of a checkpoint: the weights that ship with wnet-edge by their name, else a file."""
    if name_or_file.endswith(_CHECKPOINT_SUFFIX) or "/" in name_or_file or "\\" in name_or_file:
        return Path(name_or_file)
    shipped = _HERE / "zoo" / f"{name_or_file}{_SHIPPED_FOR}"
    return shipped if shipped.is_file() else Path(name_or_file)


def shipped_weights(model: str) -> Path | None:
    """Path of the trained weights of a network that ship with wnet-edge; None if none do."""
    path = _HERE / "zoo" / f"{model}{_SHIPPED_FOR}"
    return path if path.is_file() else None


def zoo_checkpoint(model: str) -> Path:
    """Path of the trained weights of a network that ship with wnet-edge.

    Raises:
        CheckpointError: if there are none of that name.
    """
    path = shipped_weights(model)
    if path is None:
        raise CheckpointError(
            f"no trained weights of {model} ship with wnet-edge; train it, and give --checkpoint"
        )
    return path
