"""The object that a reconstruction begins with, from an image that is there already."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.physics.geometry import positions_px
from wnet_edge.reference.scene import Scene
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.laid_sums import blank_value

_LEAST_COVERAGE = 0.02
"""Of the largest coverage: what has been seen less of is begun empty."""

_LEAST_SEEN = 0.5
"""Of the centres of the frames' windows that an image must hold to be one of this scan."""


def start_object(path: Path, scan: Scan, scene: Scene) -> NDArray[np.complex64]:
    """The image of a file in the scene's array, (H, W) complex64, to the nearest pixel.

    Where the file shows nothing, the object is as bright as the rest and without contrast.

    Raises:
        ResultError: if the file is missing, damaged, says not where it lies, or is of another scan.
    """
    placed = read_placed_image(path, scan)
    image = placed.image
    known = ~scan.left_out
    from_px = placed.corner_px - positions_px(scan.positions_m, scan.object_pixel_size_m)
    first = scene.origin_px + np.rint(np.median(from_px[known], axis=0)).astype(np.int64)
    values = np.where(np.isfinite(image.image), image.image, 0).astype(np.complex64)
    seen = values != 0
    if image.coverage is not None:
        seen &= image.coverage > _LEAST_COVERAGE * image.coverage.max()
    start = np.zeros(scene.object.shape, np.complex64)
    filled = np.zeros(start.shape, np.bool_)
    here, there = _overlap(first, start.shape, values.shape)
    start[here], filled[here] = values[there], seen[there]
    centres = np.rint(scene.corner_px - scene.origin_px).astype(int) + scene.full_window_px // 2
    if filled[tuple(centres.T)].mean() < _LEAST_SEEN:
        raise ResultError(
            f"{path}: does not show the places where the frames of {scan.path.name} were taken; "
            "give an image of this scan"
        )
    return np.where(filled, start, blank_value(start[filled])).astype(np.complex64)


def _overlap(
    first: NDArray[np.int64], one: tuple[int, ...], other: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where array `one` and `other`, in which `one` begins at `first`, overlap, in each."""
    low = np.maximum(first, 0)
    high = np.maximum(np.minimum(first + one, other), low)
    there = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    here = tuple(
        slice(a, b) for a, b in zip((low - first).tolist(), (high - first).tolist(), strict=True)
    )
    return here, there
