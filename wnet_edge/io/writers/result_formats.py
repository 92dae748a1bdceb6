"""Writing of an image in the chosen format; each format has a module of its own beside this one.

That module is loaded when its format is asked for.
"""

from pathlib import Path

from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import check_output
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.result_file import Result, write_result
from wnet_edge.io.images.result_format import ResultFormat


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
        from wnet_edge.io.writers.ptychodus_writer import product_geometry

        product_geometry(paths[0], context, pixel_size_m)
    if image_format is ResultFormat.TIFF:
        from wnet_edge.io.containers.tiff.library import load_tifffile

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
            from wnet_edge.io.writers.ptychodus_writer import write_ptychodus

            write_ptychodus(paths[0], result, context, force=force)
        case ResultFormat.CXI:
            from wnet_edge.io.writers.cxi_image import write_cxi_image

            write_cxi_image(paths[0], result, context, force=force)
        case ResultFormat.TIFF:
            from wnet_edge.io.writers.tiff_pair import write_tiff_pair

            write_tiff_pair(paths[0], paths[1], result, force=force)
