"""Reading the bytes of a package file, after a check of file type and size.

First step of opening a package; `wnet_edge.package` decodes and verifies them.
"""

from pathlib import Path

from wnet_edge.errors import PackageError
from wnet_edge.inputs import input_file, note_input

PACKAGE_SUFFIX = ".wnet"
MAX_PACKAGE_BYTES = 192 << 20
"""Five times the package of the largest network; opening needs three times the file in memory."""


def read_package_file(path: Path) -> bytes:
    """Read a package file whole.

    Raises:
        PackageError: if it is missing, no regular file, too large or unreadable.
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
