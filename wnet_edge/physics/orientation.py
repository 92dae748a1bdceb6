"""Detector orientation: the eight combinations of flips and transposition of a frame.

A step of preprocess, before binning: frames are oriented so that their rows and columns run along
the object's rows and columns, as in the package's probe; positions, whose axes may follow another
convention, are oriented likewise.
"""

from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Orientation(str, Enum):
    """Orientation applied to a frame before anything else: flips first, then transposition."""

    IDENTITY = "identity"
    FLIP_ROWS = "flip-rows"
    FLIP_COLUMNS = "flip-columns"
    ROTATE_180 = "rotate-180"
    TRANSPOSE = "transpose"
    FLIP_ROWS_TRANSPOSE = "flip-rows-transpose"
    FLIP_COLUMNS_TRANSPOSE = "flip-columns-transpose"
    ROTATE_180_TRANSPOSE = "rotate-180-transpose"

    @property
    def flips_rows(self) -> bool:
        """Whether the order of the rows is reversed."""
        return self.value.startswith(("flip-rows", "rotate-180"))

    @property
    def flips_columns(self) -> bool:
        """Whether the order of the columns is reversed."""
        return self.value.startswith(("flip-columns", "rotate-180"))

    @property
    def transposes(self) -> bool:
        """Whether rows and columns are exchanged."""
        return self.value.endswith("transpose")

    @property
    def inverse(self) -> "Orientation":
        """The inverse orientation; under a transposition the flips change axes."""
        swaps = {
            Orientation.FLIP_ROWS_TRANSPOSE: Orientation.FLIP_COLUMNS_TRANSPOSE,
            Orientation.FLIP_COLUMNS_TRANSPOSE: Orientation.FLIP_ROWS_TRANSPOSE,
        }
        return swaps.get(self, self)


def orient(frames: NDArray[Scalar], orientation: Orientation) -> NDArray[Scalar]:
    """Flip and transpose frames or masks (..., n, n) of any dtype; the centre stays at n // 2.

    Flipping an even number of pixels moves zero frequency by one pixel; the frame is rolled back by
    it, which the periodic far field allows.
    """
    flips = ((-2, orientation.flips_rows), (-1, orientation.flips_columns))
    axes = tuple(axis for axis, flip in flips if flip)
    turned = frames
    if axes:
        shifts = [1 - frames.shape[axis] % 2 for axis in axes]
        turned = np.roll(np.flip(turned, axes), shifts, axes)
    return np.swapaxes(turned, -2, -1) if orientation.transposes else turned


def orient_positions(
    positions: NDArray[np.float64], orientation: Orientation
) -> NDArray[np.float64]:
    """Reverse and swap the axes of positions (N, 2) row, column as `orient` does for frames."""
    flips = (orientation.flips_rows, orientation.flips_columns)
    signs = np.array([-1.0 if flip else 1.0 for flip in flips])
    turned: NDArray[np.float64] = positions * signs
    return turned[:, ::-1] if orientation.transposes else turned
