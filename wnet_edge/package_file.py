"""The bytes of a package file, its kind and size looked at before the first is read.

First step of opening a package; what the bytes say is `wnet_edge.package`'s business.
"""

from pathlib import Path

from wnet_edge.errors import PackageError
from wnet_edge.inputs import input_file, note_input

PACKAGE_SUFFIX = ".wnet"
MAX_PACKAGE_BYTES = 512 << 20


def read_package_file(path: Path) -> bytes:
    """The whole file.

    Raises:
        PackageError: if it is missing, no file, too large or can't be read.
    """
    note_input(path, PackageError, "the package")
    input_file(path, PackageError, f"name a {PACKAGE_SUFFIX} file or an embedded package")
    try:
        size = path.stat().st_size
        if size > MAX_PACKAGE_BYTES:
            raise PackageError(
                f"{path}: {size} bytes is more than a package may have ({MAX_PACKAGE_BYTES}); "
                "export a smaller network"
            )
        with path.open("rb") as file:
            return file.read(size + 1)
    except (OSError, ValueError) as error:
        raise PackageError(f"{path}: can't be read ({error}); check its permissions") from error
