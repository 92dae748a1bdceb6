"""The formats an image can be written in, and which file each of them makes.

The end of the flow, where `wnet-edge infer --format` chooses. Every format is a module of its own
beside this one.
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
    """What an image is written as."""

    NEXUS = "nexus"  # our own: everything that is known of the image
    PTYCHODUS = "ptychodus"  # a start for Ptychodus and pty-chi
    CXI = "cxi"  # Coherent X-ray Imaging format 1.6
    TIFF = "tiff"  # phase and amplitude, a file each


_SUFFIXES = {
    ResultFormat.NEXUS: (".wnet.h5",),
    ResultFormat.PTYCHODUS: (".ptychodus.h5",),
    ResultFormat.CXI: (".wnet.cxi",),
    ResultFormat.TIFF: (".wnet.phase.tif", ".wnet.amplitude.tif"),
}


def default_paths(image_format: ResultFormat, folder: Path, stem: str) -> tuple[Path, ...]:
    """The files that scan STEM becomes in `folder`: one, or phase and amplitude for TIFF."""
    return tuple(folder / f"{stem}{suffix}" for suffix in _SUFFIXES[image_format])


def paths_from(image_format: ResultFormat, output: Path) -> tuple[Path, ...]:
    """The files that `-o output` means: OUT.tif is OUT.phase.tif and OUT.amplitude.tif."""
    if image_format is not ResultFormat.TIFF:
        return (output,)
    suffix = output.suffix if output.suffix.lower() in (".tif", ".tiff") else ""
    stem = output.name.removesuffix(suffix)
    return tuple(
        output.with_name(f"{stem}.{name}{suffix or '.tif'}") for name in ("phase", "amplitude")
    )


def picture_beside(output: Path) -> Path:
    """The picture that goes with `-o output`: OUT.h5 has OUT.png beside it.

    Only a suffix that names a format goes: scan_0.15 is no file of format 15.
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
    """See that an image could be written to `paths`, before any work is spent on it.

    Raises:
        ResultError: if a file exists and `force` is not set, can't be written, the format needs
            what is not known of the scan, or a package that is not installed.
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
    """Write the image to `paths`, which are those of `default_paths` or `paths_from`.

    All files of a format are written, whole, or none is.

    Raises:
        ResultError: as `check_image`, or if the disk refuses them.
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
