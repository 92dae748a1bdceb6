"""A reconstruction with the windows of its scan's frames on it.

Ground truth for measured frames is cut from it: scan + reference → windows on the reference.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.errors import ResultError
from wnet_edge.io.containers.numpy_file import opened_npz, read_member
from wnet_edge.io.images.located_image import LocatedImage
from wnet_edge.io.images.object_image_file import read_located_image
from wnet_edge.physics.geometry import positions_px, same_pixel_size
from wnet_edge.scan.scan import Scan

_WINDOWS = "window_top_left_px"
_ROUNDING_PX = 1.0
"""Largest difference of a rounded window from its position: half a pixel, and some noise."""


@dataclass(frozen=True)
class PlacedImage:
    """An object image, and the windows of a scan's frames on it.

    Attributes:
        image: image of the object.
        corner_px: (N, 2) float64, image row, column (fractions allowed) of the top-left pixel of
            each frame's full window.
    """

    image: ObjectImage
    corner_px: NDArray[np.float64]


def read_placed_image(path: Path, scan: Scan) -> PlacedImage:
    """Read a reconstruction and locate the scan's frames on it.

    Files of `infer` state their location on the object (`origin_px`). A Ptychodus product has the
    windows of the frames that it lists. An .npz archive has `window_top_left_px` (N, 2), one window
    per frame: fractional ones are used as they are (positions refined by an engine); whole numbers
    are rounded, and only give the offset to the scan's own positions.

    Raises:
        ResultError: if the file is missing, damaged or of another kind, lacks the location of the
            frames, or is of another scan or pixel size.
    """
    located = read_located_image(path)
    image = located.image
    pixel_size_m = scan.object_pixel_size_m
    if image.pixel_size_m is not None and not same_pixel_size(image.pixel_size_m, pixel_size_m):
        raise ResultError(
            f"{path}: has pixels of {1e9 * image.pixel_size_m:.4g} nm, {scan.path.name} of "
            f"{1e9 * pixel_size_m:.4g} nm; reconstruct the scan with its own pixel"
        )
    positions = positions_px(scan.positions_m, pixel_size_m)
    if located.windows_px is not None:
        return PlacedImage(image, _product_corners_px(path, scan, positions, located))
    if located.origin_px is not None:
        return PlacedImage(image, positions - located.origin_px)
    with path.open("rb") as file:
        archive = file.read(2) == b"PK"
    if not archive:
        raise ResultError(
            f"{path}: does not say where on the object it begins, so where the frames lie on it is "
            "not known; give a result file (infer --format nexus)"
        )
    return PlacedImage(image, _corners_px(path, scan, positions))


def _product_corners_px(
    path: Path, scan: Scan, positions: NDArray[np.float64], located: LocatedImage
) -> NDArray[np.float64]:
    """Windows of the scan's frames in a product, by frame number; left-out frames need none.

    Raises:
        ResultError: if frames of the scan have none, or do not match its positions.
    """
    windows, numbers = located.windows_px, located.frame_numbers
    if windows is None or numbers is None:
        raise ValueError("a product without windows")
    known = ~scan.left_out
    at = dict(zip(numbers.tolist(), range(len(numbers)), strict=True))
    places = np.array([at.get(number, -1) for number in scan.frame_numbers.tolist()])
    missing = int(np.count_nonzero(known & (places < 0)))
    if missing:
        raise ResultError(
            f"{path}: has no window for {missing} of {scan.frame_count} frames of "
            f"{scan.path.name}; give the product of this scan, or part of it with --frames-range"
        )
    corners: NDArray[np.float64] = np.where(known[:, None], windows[places], positions)
    shift = corners - positions
    farthest = float(np.abs(shift - np.median(shift[known], axis=0))[known].max())
    if farthest > scan.full_window_px / 2:
        raise ResultError(
            f"{path}: its windows are up to {farthest:.0f} px from the positions of "
            f"{scan.path.name}; give the product of this scan"
        )
    return corners


def _corners_px(path: Path, scan: Scan, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    with opened_npz(path) as archive:
        windows = read_member(archive, _WINDOWS)
    if windows is None:
        raise ResultError(
            f"{path}: has no `{_WINDOWS}`, so where the frames lie on it is not known; add it, "
            "(N, 2) row and column of each frame's window, or give a result file"
        )
    if windows.ndim == 2 and len(positions) < len(windows) > scan.frame_numbers.max():
        windows = windows[scan.frame_numbers]  # the archive is of the whole scan
    if windows.shape != positions.shape or windows.dtype.kind not in "uif":
        raise ResultError(
            f"{path}: `{_WINDOWS}` is {windows.shape}, not (N, 2) for the {len(positions)} frames "
            f"of {scan.path.name}; give the reference of this scan"
        )
    placed: NDArray[np.float64] = windows.astype(np.float64)
    if not np.isfinite(placed).all():
        raise ResultError(f"{path}: `{_WINDOWS}` is not finite; correct the archive")
    if (placed != np.rint(placed)).any():
        return placed
    known = ~scan.left_out
    corners: NDArray[np.float64] = positions + (placed - positions)[known].mean(axis=0)
    farthest = float(np.abs(corners - placed)[known].max())
    if farthest > _ROUNDING_PX:
        raise ResultError(
            f"{path}: `{_WINDOWS}` is up to {farthest:.1f} px from the positions of "
            f"{scan.path.name}; give the reference of this scan, or windows with their fractions"
        )
    return corners
