"""Labels of measured frames, cut from a reconstruction at the frames' positions.

The way of the PtychoNN and W-Net papers: an iterative engine reconstructs a scan once, and teaches
the network. Scale and gauge are fixed as in simulation (`wnet_edge.physics.gauge.labels`).
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.lagrange_shift import resample
from wnet_edge.errors import ResultError, ScanError
from wnet_edge.io.images.placed_image import PlacedImage
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.gauge import labels
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.counts import MASKED, normalise
from wnet_edge.scan.preparation import prepare_frames
from wnet_edge.scan.scan import Scan

_REACH_PX = 3
"""What interpolation looks at beyond a window, on every side."""

_MARGIN_PX = _REACH_PX + 1
"""Around the reconstruction, its edge repeated: a window may leave it by half a pixel."""

_BLOCK_FRAMES = 64
"""Whose full windows are in memory at a time."""

_COMPARED_FRAMES = 64
_LEAST_EXPLAINED = 0.8
"""Of the compared frames that their own patch must explain better than the median other patch
does: 1.00 for scan 247 and its reference, 0.45 to 0.7 for one that is flipped or 12 px off."""


class CutLabels:
    """Labels from a reconstruction of the same scan under the same probe.

    Args:
        placed: the reconstruction, and where the frames lie on it.
        scan: with its probe.
        window_px: edge of the network's window.

    Raises:
        ScanError: if the scan has no probe, no counts, or can't be seen through such a window.
        ResultError: if no frame lies on the reconstruction, or it does not explain the frames.
    """

    def __init__(self, placed: PlacedImage, scan: Scan, window_px: int) -> None:
        if scan.probe is None:
            raise ScanError(f"{scan.path}: has no probe, which labels need; write it into the file")
        full_px = scan.full_window_px
        self.window_px = window_px
        self.binning = scan.binning * scan.binning_to(window_px)
        self._probe, self._full_px = scan.probe, full_px
        image = placed.image
        covered = np.isfinite(image.image)
        covered &= image.image != 0 if image.coverage is None else image.coverage > 0
        self._name = image.name
        known = np.where(covered, image.image, 0).astype(np.complex64)
        self._image = np.pad(known, _MARGIN_PX, mode="edge")
        self._corner_px = np.round(placed.corner_px, 6)
        self.usable = ~scan.left_out & self._on_image(covered)
        if not self.usable.any():
            raise ResultError(
                f"{image.name}: none of the {scan.frame_count} frames of {scan.path.name} has its "
                f"whole window of {full_px} px on it; give the reference of this scan"
            )
        self._check_explains(scan)

    def describe(self) -> dict[str, Any]:
        """Name and fingerprint of the reconstruction, and how many frames it leaves out."""
        digest = hashlib.sha256(np.ascontiguousarray(self._image).tobytes())
        digest.update(np.ascontiguousarray(self._corner_px).tobytes())
        return {
            "labels": {
                "file": Path(self._name).name,
                "sha256": digest.hexdigest(),
                "left_out": int(np.count_nonzero(~self.usable)),
            }
        }

    def read(self, numbers: NDArray[np.int64]) -> PatchLabels:
        """Labels of the frames `numbers`, (n, window, window) float32 each."""
        size = (len(numbers), self.window_px, self.window_px)
        amplitude, phase_rad = np.empty(size, np.float32), np.empty(size, np.float32)
        for start in range(0, len(numbers), _BLOCK_FRAMES):
            part = slice(start, start + _BLOCK_FRAMES)
            patches = self.patches(numbers[part])
            amplitude[part], phase_rad[part] = labels(patches, self._probe, self.window_px)
        return PatchLabels(amplitude, phase_rad)

    def patches(self, numbers: NDArray[np.int64]) -> NDArray[np.complex64]:
        """The object in the full windows of usable frames, (n, full, full)."""
        return np.stack([self._patch(corner) for corner in self._corner_px[numbers]])

    def _patch(self, corner_px: NDArray[np.float64]) -> NDArray[np.complex64]:
        # In the pixels of the image with its margin.
        row, column = np.floor(corner_px).astype(np.int64) + (_MARGIN_PX - _REACH_PX)
        size = self._full_px + 2 * _REACH_PX
        part = self._image[row : row + size, column : column + size]
        everywhere = np.ones(part.shape, dtype=np.bool_)
        shift_px = corner_px + _MARGIN_PX - (row, column)
        patch, _ = resample(part, everywhere, shift_px, (self._full_px, self._full_px))
        return patch

    def _on_image(self, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,), whether the whole window, to the nearest pixel, is covered."""
        counted = np.pad(np.cumsum(np.cumsum(covered, axis=0), axis=1), ((1, 0), (1, 0)))
        low = np.rint(self._corner_px).astype(np.int64)
        high = low + self._full_px
        inside = np.flatnonzero(((low >= 0) & (high <= covered.shape)).all(axis=1))
        (top, left), (bottom, right) = low[inside].T, high[inside].T
        found = counted[bottom, right] - counted[top, right]
        found += counted[top, left] - counted[bottom, left]
        on_image = np.zeros(len(low), dtype=np.bool_)
        on_image[inside] = found == self._full_px**2
        return on_image

    def _check_explains(self, scan: Scan) -> None:
        """See that the reconstruction is of these frames, the same way up and in the same place.

        Far fields of the patches under the probe are held against the frames, as R = Σ|√I − |Ψ||;
        a frame's own patch must do better than those of other frames.
        """
        numbers = np.flatnonzero(self.usable)
        spread = np.linspace(0, len(numbers) - 1, _COMPARED_FRAMES).astype(np.int64)
        numbers = numbers[np.unique(spread)]
        prepared = prepare_frames(scan, numbers, 1)
        numbers = numbers[prepared.usable]
        if not len(numbers):
            raise ScanError(f"{scan.path}: its frames have no counts; give another scan")
        measured = normalise(prepared.counts[prepared.usable])
        expected = bin_frames(expected_counts(self.patches(numbers), self._probe), scan.binning)
        made = normalise(np.where(scan.mask, MASKED, expected)[:, None])
        errors = np.array([np.abs(frame - made).sum(axis=(1, 2, 3)) for frame in measured])
        own = np.diag(errors)
        explained = float(np.mean(own <= np.median(errors, axis=1)))
        if explained < _LEAST_EXPLAINED:
            raise ResultError(
                f"{self._name}: explains only {explained:.0%} of the frames of {scan.path.name} "
                "better than another place would; give the reference of this scan, with the same "
                "orientation and probe"
            )
