"""Detector and probe common to all frames of a scan, known before the first frame arrives."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameSetup:
    """Detector and probe of a scan with square, centred frames.

    Attributes:
        path: source of the frames, for messages.
        mask: (n, n) bool, True for pixels that must not be used.
        full_window_px: edge of a frame's window on the object in pixels: that of the unbinned
            frame.
        object_pixel_size_m: edge of an object pixel of the full window.
        probe: (modes, full, full) complex64 in square-root counts, or None.
    """

    path: Path
    mask: NDArray[np.bool_]
    full_window_px: int
    object_pixel_size_m: float
    probe: NDArray[np.complex64] | None = None

    @property
    def frame_px(self) -> int:
        """Edge n of the square frames."""
        return int(self.mask.shape[0])
