"""What is common to all corrections of positions: a wrong pixel size, or a stage that is turned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Affine:
    """What is common to all corrections: a wrong pixel size, or a stage that is turned.

    Attributes:
        matrix: (2, 2), from nominal positions to corrected ones, about their means.
    """

    matrix: NDArray[np.float64]

    @property
    def scale(self) -> tuple[float, float]:
        """Of rows and of columns."""
        row, column = np.linalg.norm(self.matrix, axis=0).tolist()
        return row, column

    @property
    def rotation_deg(self) -> float:
        """From rows to columns."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def shear_deg(self) -> float:
        """By which the angle between rows and columns differs from a right one."""
        one, other = self.matrix.T / np.linalg.norm(self.matrix, axis=0)[:, None]
        return float(np.degrees(np.arcsin(np.clip(one @ other, -1, 1))))


def affine_part(
    positions_px: NDArray[np.float64], corrected_px: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Affine]:
    """What of the corrections (N, 2) is affine in the positions, by least squares, and its map."""
    about = positions_px - positions_px.mean(axis=0)
    correction = corrected_px - positions_px
    map_, *_ = np.linalg.lstsq(about, correction - correction.mean(axis=0), rcond=None)
    return about @ map_ + correction.mean(axis=0), Affine(np.eye(2) + map_.T)
