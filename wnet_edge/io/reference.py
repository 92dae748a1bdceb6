"""An image to compare with, from whatever file holds it: a result file or a reference archive.

Feeds `wnet_edge.comparison`. The kind is told from a file's first bytes, not from its name. No
pickle is ever loaded, and sizes are checked before memory is taken.
"""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparison import ObjectImage
from wnet_edge.errors import ResultError
from wnet_edge.gauge import illumination_weight, probe_intensity
from wnet_edge.inputs import input_file
from wnet_edge.io.numpy_file import read_member
from wnet_edge.io.result import MAX_IMAGE_PX, read_result

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK"
_CURE = "give a result file of wnet-edge infer, or an .npz with a complex array `object`"
_MAX_WINDOWS = 10_000_000


def read_object_image(path: Path) -> ObjectImage:
    """Read the complex image in a result file or an .npz archive.

    An archive holds `object` (H, W) complex, and may hold `object_pixel_m`, and both of `probe`
    (modes, h, w) complex and `window_top_left_px` (N, 2), from which the coverage is summed as in
    stitching: sqrt(Σ_modes |P|²) at every window. Without these two the coverage is None.

    Raises:
        ResultError: if the file is missing, damaged or of another kind.
    """
    input_file(path, ResultError, _CURE)
    try:
        with path.open("rb") as file:
            magic = file.read(len(_HDF5_MAGIC))
    except OSError as error:
        raise ResultError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if magic == _HDF5_MAGIC:
        result = read_result(path)
        return ObjectImage(str(path), result.image, result.coverage, result.pixel_size_m)
    if not magic.startswith(_ZIP_MAGIC):
        kind = "the file is empty" if not magic else "neither HDF5 nor .npz"
        raise ResultError(f"{path}: {kind}; {_CURE}")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(path, archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise ResultError(f"{path}: damaged or no .npz archive ({reason}); {_CURE}") from error


def _read_archive(path: Path, archive: zipfile.ZipFile) -> ObjectImage:
    image = read_member(archive, "object", MAX_IMAGE_PX)
    if image is None or image.ndim != 2 or not np.iscomplexobj(image) or not image.size:
        raise ResultError(f"{path}: holds no complex image `object` of two dimensions; {_CURE}")
    image = image.astype(np.complex64)
    pixel = read_member(archive, "object_pixel_m", MAX_IMAGE_PX)
    if pixel is not None and not (
        pixel.size == 1 and pixel.dtype.kind == "f" and 0 < float(pixel.item()) < math.inf
    ):
        raise ResultError(f"{path}: `object_pixel_m` is not one positive number; mend the archive")
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
    """Summed weight (H, W) float32 of the probe at every window, to whole pixels."""
    if probe.ndim != 3 or not np.isfinite(probe).all():
        raise ResultError(f"{path}: `probe` is not (modes, h, w) of finite values; mend it")
    if windows.ndim != 2 or windows.shape[1] != 2 or not 0 < len(windows) <= _MAX_WINDOWS:
        raise ResultError(f"{path}: `window_top_left_px` is not (N, 2); mend it")
    height, width = probe.shape[1:]
    inside = (windows >= -0.5) & (windows <= np.subtract(shape, (height, width)) + 0.5)
    if not inside.all():
        raise ResultError(f"{path}: a window of `window_top_left_px` lies outside `object`")
    weight = illumination_weight(probe_intensity(probe.astype(np.complex64)))
    coverage = np.zeros(shape, dtype=np.float32)
    for row, column in np.rint(windows).astype(np.int64).tolist():
        coverage[row : row + height, column : column + width] += weight
    return coverage
