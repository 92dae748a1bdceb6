"""Output formats of an image, and the files of each.

Chosen by `wnet-edge infer --format`. Every format has a module of its own.
"""

from enum import Enum
from pathlib import Path

from wnet_edge.errors import ResultError
from wnet_edge.io.cxi_image import write_cxi_image
from wnet_edge.io.image_context import ImageContext
from wnet_edge.io.ptychodus_writer import product_geometry, write_ptychodus
from wnet_edge.io.result import Result, write_result
from wnet_edge.io.tiff_pair import load_tifffile, write_tiff_pair
from wnet_edge.outputs import check_output


class ResultFormat(str, Enum):
    """Output formats of an image."""

    NEXUS = "nexus"  # result file with all data and provenance
    PTYCHODUS = "ptychodus"  # start for Ptychodus and pty-chi
    CXI = "cxi"  # Coherent X-ray Imaging format 1.6
    TIFF = "tiff"  # phase and amplitude, one file each


_SUFFIXES = {
    ResultFormat.NEXUS: (".wnet.h5",),
    ResultFormat.PTYCHODUS: (".ptychodus.h5",),
    ResultFormat.CXI: (".wnet.cxi",),
    ResultFormat.TIFF: (".wnet.phase.tif", ".wnet.amplitude.tif"),
}


def default_paths(image_format: ResultFormat, folder: Path, stem: str) -> tuple[Path, ...]:
    """Default output files of scan STEM in `folder`: one, or phase and amplitude for TIFF."""
    return tuple(folder / f"{stem}{suffix}" for suffix in _SUFFIXES[image_format])


def paths_from(image_format: ResultFormat, output: Path) -> tuple[Path, ...]:
    """Output files for `-o output`: OUT.tif gives OUT.phase.tif and OUT.amplitude.tif."""
    if image_format is not ResultFormat.TIFF:
        return (output,)
    suffix = output.suffix if output.suffix.lower() in (".tif", ".tiff") else ""
    stem = output.name.removesuffix(suffix)
    return tuple(
        output.with_name(f"{stem}.{name}{suffix or '.tif'}") for name in ("phase", "amplitude")
    )


def picture_beside(output: Path) -> Path:
    """Path of the picture for `-o output`: OUT.png beside OUT.h5.

    Only the suffix of a known format is replaced: that of scan_0.15 is none.
    """
    suffix = output.suffix if output.suffix[1:2].isalpha() else ""
    return output.with_name(f"{output.name.removesuffix(suffix)}.png")


def check_image(
    image_format: ResultFormat,
    paths: tuple[Path, ...],
    pixel_size_m: float | None,
    context: ImageContext,
    *,
    force: bool = False,
) -> None:
    """Check that an image can be written to `paths`, before any work is spent on it.

    Raises:
        ResultError: if a file exists and `force` is False, can't be written, or the format needs
            data that the scan lacks, or a package that is not installed.
    """
    for path in paths:
        check_output(path, ResultError, force=force)
    if image_format is ResultFormat.PTYCHODUS:
        product_geometry(paths[0], context, pixel_size_m)
    if image_format is ResultFormat.TIFF:
        load_tifffile(paths[0])


def write_image(
    image_format: ResultFormat,
    paths: tuple[Path, ...],
    result: Result,
    context: ImageContext,
    *,
    force: bool = False,
) -> None:
    """Write the image to `paths` from `default_paths` or `paths_from`, atomically.

    Raises:
        ResultError: as `check_image`, or if they can't be written.
    """
    match image_format:
        case ResultFormat.NEXUS:
            write_result(paths[0], result, context, force=force)
        case ResultFormat.PTYCHODUS:
            write_ptychodus(paths[0], result, context, force=force)
        case ResultFormat.CXI:
            write_cxi_image(paths[0], result, context, force=force)
        case ResultFormat.TIFF:
            write_tiff_pair(paths[0], paths[1], result, force=force)
