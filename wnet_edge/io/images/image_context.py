"""Data of an image's scan that other programs' formats need in addition to the result.

Passed with a `wnet_edge.io.images.result_file.Result` to the writers of
`wnet_edge.io.writers.result_formats`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageContext:
    """Data of the scan of an image.

    Attributes:
        probe: (modes, full, full) complex64 in square-root counts.
        positions_m: (N, 2) float64 row, column of the top-left pixel of each frame's full window.
        left_out: (N,) bool, True for frames without a valid position.
        frame_numbers: (N,) int64, number of each frame in the measurement, counted from 0.
        full_window_px: edge of the full window, in object pixels.
        energy_ev: photon energy, None if unknown.
        distance_m: sample-to-detector distance, None if unknown.
        title: title, one line.
    """

    probe: NDArray[np.complex64]
    positions_m: NDArray[np.float64]
    left_out: NDArray[np.bool_]
    frame_numbers: NDArray[np.int64]
    full_window_px: int
    energy_ev: float | None
    distance_m: float | None
    title: str

    def __post_init__(self) -> None:
        full = self.full_window_px
        if self.probe.ndim != 3 or self.probe.shape[1:] != (full, full):
            raise ValueError(f"a probe {self.probe.shape} is not (modes, {full}, {full})")
        if self.positions_m.ndim != 2 or self.positions_m.shape[1] != 2:
            raise ValueError(f"positions {self.positions_m.shape} are not (N, 2)")
        if self.left_out.shape != self.positions_m.shape[:1]:
            raise ValueError(f"left_out {self.left_out.shape} is not one a position")
