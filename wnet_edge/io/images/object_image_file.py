"""Reading of object images: files of `infer`, Ptychodus products, or reference archives.

For `wnet_edge.comparing.comparison`. The file type is detected from the first bytes, not the name.
No pickle, and sizes are checked before memory is allocated.
"""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.errors import ResultError
from wnet_edge.host.inputs import input_file
from wnet_edge.io.containers.numpy_file import member_names, read_member
from wnet_edge.io.images.located_image import (
    PRODUCT,
    LocatedImage,
    coverage_of,
    product_image,
    read_hdf5_image,
    read_tiff_image,
)
from wnet_edge.io.images.result_file import MAX_IMAGE_PX
from wnet_edge.io.images.result_format import ResultFormat, paths_from

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK"
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CURE = (
    "give what wnet-edge infer has written, a Ptychodus product, or an .npz with a complex array "
    "`object`"
)
_MAX_WINDOWS = 10_000_000


def read_object_image(path: Path) -> ObjectImage:
    """Read the complex image of a file; see `read_located_image`."""
    return read_located_image(path).image


def read_located_image(path: Path) -> LocatedImage:
    """Read a complex image, with its location, from a file of `infer`, a product, or an archive.

    An .npz archive has `object` (H, W) complex, and optionally `object_pixel_m`, and both `probe`
    (modes, h, w) complex and `window_top_left_px` (N, 2), from which the coverage is summed as in
    stitching: sqrt(Σ_modes |P|²) at every window. Without these two the coverage is None.

    Raises:
        ResultError: if the file is missing, damaged or of another kind.
    """
    if not path.exists() and all(p.is_file() for p in paths_from(ResultFormat.TIFF, path)):
        return read_tiff_image(path)
    input_file(path, ResultError, _CURE)
    try:
        with path.open("rb") as file:
            magic = file.read(len(_HDF5_MAGIC))
    except OSError as error:
        raise ResultError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if magic == _HDF5_MAGIC:
        return read_hdf5_image(path)
    if magic.startswith(_TIFF_MAGICS):
        return read_tiff_image(path)
    if not magic.startswith(_ZIP_MAGIC):
        kind = "the file is empty" if not magic else "neither HDF5, TIFF nor .npz"
        raise ResultError(f"{path}: {kind}; {_CURE}")
    try:
        with zipfile.ZipFile(path) as archive:
            if set(PRODUCT) <= set(member_names(archive)):
                return product_image(path, _members(archive))
            return LocatedImage(_read_archive(path, archive))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise ResultError(f"{path}: damaged, or not an .npz archive ({reason}); {_CURE}") from error


def _members(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Members of an .npz product that its image needs."""
    names = (*PRODUCT, "probe_position_indexes", "object_pixel_height_m", "object_pixel_width_m")
    return {
        name: read_member(archive, name, MAX_IMAGE_PX)
        for name in (*names, "object_center_x_m", "object_center_y_m")
    }


def _read_archive(path: Path, archive: zipfile.ZipFile) -> ObjectImage:
    image = read_member(archive, "object", MAX_IMAGE_PX)
    if image is None or image.ndim != 2 or not np.iscomplexobj(image) or not image.size:
        raise ResultError(f"{path}: holds no complex image `object` of two dimensions; {_CURE}")
    image = image.astype(np.complex64)
    pixel = read_member(archive, "object_pixel_m", MAX_IMAGE_PX)
    if pixel is not None and not (
        pixel.size == 1 and pixel.dtype.kind == "f" and 0 < float(pixel.item()) < math.inf
    ):
        raise ResultError(f"{path}: `object_pixel_m` is not one positive number; correct it")
    probe, windows = (
        read_member(archive, "probe", MAX_IMAGE_PX),
        read_member(archive, "window_top_left_px", MAX_IMAGE_PX),
    )
    coverage = None
    if probe is not None and windows is not None:
        coverage = _coverage(path, image.shape, probe, windows)
    return ObjectImage(str(path), image, coverage, None if pixel is None else float(pixel.item()))


def _coverage(
    path: Path, shape: tuple[int, ...], probe: NDArray[Any], windows: NDArray[Any]
) -> NDArray[np.float32]:
    """Coverage (H, W) float32: summed probe weight of all windows, to whole pixels."""
    if probe.ndim != 3 or not np.isfinite(probe).all():
        raise ResultError(f"{path}: `probe` is not (modes, h, w) of finite values; correct it")
    if windows.ndim != 2 or windows.shape[1] != 2 or not 0 < len(windows) <= _MAX_WINDOWS:
        raise ResultError(f"{path}: `window_top_left_px` is not (N, 2); correct it")
    height, width = probe.shape[1:]
    inside = (windows >= -0.5) & (windows <= np.subtract(shape, (height, width)) + 0.5)
    if not inside.all():
        raise ResultError(f"{path}: a window of `window_top_left_px` lies outside `object`")
    return coverage_of(shape, probe.astype(np.complex64), windows.astype(np.float64))
