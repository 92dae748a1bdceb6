"""Import of tifffile, an optional dependency, only when a TIFF file needs it."""

from pathlib import Path
from types import ModuleType

from wnet_edge.errors import ResultError


def load_tifffile(path: Path) -> ModuleType:
    """Import tifffile, which is needed for `path`.

    Raises:
        ResultError: if it is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ResultError(
            f"{path}: TIFF needs the package tifffile; pip install 'wnet-edge[tiff]'"
        ) from error
    module: ModuleType = tifffile
    return module
