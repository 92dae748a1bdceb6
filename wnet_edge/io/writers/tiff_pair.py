"""Writing an image as two TIFF files, phase and amplitude, with the pixel size.

For ImageJ, napari and other programs that read 32-bit TIFF. tifffile is imported inside the
functions, so only when a TIFF is written.
"""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import replacing, together
from wnet_edge.io.containers.tiff.library import load_tifffile
from wnet_edge.io.images.located_image import ORIGIN_KEYS
from wnet_edge.io.images.result_file import Result

_METRE_PER_CM = Fraction(1, 100)

_MOST = 2**32 - 1  # largest numerator and denominator of a TIFF rational


def write_tiff_pair(
    phase_path: Path, amplitude_path: Path, result: Result, *, force: bool = False
) -> None:
    """Write phase in rad and amplitude as float32 TIFF files, both atomically or neither.

    The pixel size is in the resolution tags, in pixels per centimetre; with `unit=um` in the
    description, ImageJ converts it to micrometres. The description also has the image's origin.

    Args:
        phase_path: path of the phase.
        amplitude_path: path of the amplitude.
        result: the image.
        force: replace existing files.

    Raises:
        ResultError: if tifffile is not installed, the pixel size does not fit the tags, a file
            exists and `force` is False, or they can't be written.
    """
    tifffile = load_tifffile(phase_path)
    scale = _scale_tags(phase_path, result.pixel_size_m)
    origin = dict(zip(ORIGIN_KEYS, result.origin_px.tolist(), strict=True))
    scale["metadata"] = scale.get("metadata", {}) | origin

    def tiff(image: NDArray[np.float32]) -> bytes:
        file = BytesIO()
        tifffile.imwrite(
            file,
            image,
            imagej=True,
            dtype="float32",
            photometric="minisblack",
            software="wnet-edge",
            **scale,
        )
        return file.getvalue()

    with together():
        for path, image in ((phase_path, result.phase), (amplitude_path, result.amplitude)):
            with replacing(path, ResultError, force=force) as temporary:
                temporary.write_bytes(tiff(image))


def _scale_tags(path: Path, pixel_size_m: float | None) -> dict[str, Any]:
    """Arguments of tifffile for the pixel size."""
    if pixel_size_m is None:
        return {"resolutionunit": "NONE"}
    per_cm = _METRE_PER_CM / Fraction(pixel_size_m)
    if not Fraction(1, 1000) < per_cm < _MOST:
        raise ResultError(
            f"{path}: a pixel of {pixel_size_m:g} m does not fit a TIFF's resolution tags; "
            "write --format nexus"
        )
    ratio = per_cm.limit_denominator(int(_MOST / max(per_cm, Fraction(1)))).as_integer_ratio()
    return {
        "resolution": (ratio, ratio),
        "resolutionunit": "CENTIMETER",
        "metadata": {"unit": "um"},
    }
