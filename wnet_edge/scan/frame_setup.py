"""What all frames of a scan share, known before the first of them has come."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameSetup:
    """Detector and probe of a scan whose frames are cut to square, centred ones.

    Attributes:
        path: where the frames come from, for messages.
        mask: (n, n) bool, True where the pixel must not be used.
        full_window_px: edge of the window that a frame sees of the object: unbinned pixels.
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
