"""The bytes of a package file, its kind and size looked at before the first is read.

First step of opening a package; what the bytes say is `wnet_edge.package`'s business.
"""

from pathlib import Path

from wnet_edge.errors import PackageError

PACKAGE_SUFFIX = ".wnet"
MAX_PACKAGE_BYTES = 192 << 20
"""Five times the largest network's in three precisions; opening takes three times the file."""


def read_package_file(path: Path) -> bytes:
    """The whole file.

    Raises:
        PackageError: if it is missing, no file, too large or can't be read.
    """
    try:
        if path.is_dir():
            raise PackageError(f"{path}: is a folder; name a {PACKAGE_SUFFIX} file")
        if path.exists() and not path.is_file():
            raise PackageError(f"{path}: is a device or a pipe; name a {PACKAGE_SUFFIX} file")
        size = path.stat().st_size
        if size > MAX_PACKAGE_BYTES:
            raise PackageError(
                f"{path}: {size} bytes is more than a package may have ({MAX_PACKAGE_BYTES}); "
                "export a smaller network"
            )
        with path.open("rb") as file:
            return file.read(size + 1)
    except FileNotFoundError as error:
        raise PackageError(
            f"{path}: no such file; name a {PACKAGE_SUFFIX} file or an embedded package"
        ) from error
    except (OSError, ValueError) as error:
        raise PackageError(f"{path}: can't be read ({error}); check its permissions") from error
