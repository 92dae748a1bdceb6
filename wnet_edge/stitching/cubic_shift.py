"""Subpixel shift of windows by cubic convolution: puts patches onto the image's pixel grid.

Cubic convolution (Keys, 1981) of a whole stack at once, in reused buffers: allocating buffers of
this size on every call costs a page fault every 4 kB, which took longer than the arithmetic.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

MIN_WINDOW_PX = 4
"""A cubic kernel spans four samples."""

_TAPS = 4
_MARGIN_PX = 2


def keys_taps(fraction: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cubic-convolution weights (..., 4) float32 of samples m − 2 … m + 1 for the value at m − f.

    `fraction` f (...) lies in [0, 1). Keys' kernel with a = −1/2, exact for quadratics (Keys, IEEE
    Trans. ASSP 29, 1153, 1981, eq. 15). f = 0 gives (0, 0, 1, 0).
    """
    near = np.stack([1 - fraction, fraction], axis=-1)
    far = np.stack([2 - fraction, 1 + fraction], axis=-1)
    inner = 1.5 * near**3 - 2.5 * near**2 + 1
    outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    return np.stack(
        [outer[..., 0], inner[..., 0], inner[..., 1], outer[..., 1]], axis=-1, dtype=np.float32
    )


class WindowShifter:
    """Shifts up to `most` windows at a time, each by its own fraction of a pixel.

    Args:
        most: largest number of windows per call.
        height, width: size of a window, each ≥ `MIN_WINDOW_PX`.

    Attributes:
        windows: (most, height, width) complex64, input buffer; its values must be finite.
    """

    def __init__(self, most: int, height: int, width: int) -> None:
        line = width + 2 * _MARGIN_PX
        # The outer margin and the samples past the last line are never written and stay zero.
        self._wide = np.zeros((most, height + 2 * _MARGIN_PX, line), np.complex64)
        self._by_row = np.zeros((most, height * line + _TAPS - 1), np.complex64)
        self._both = np.empty((most, height, line), np.complex64)
        self._product = np.empty((most, 2 * height * line), np.float32)
        self.windows = self._wide[:, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]

    def shift(self, taps: NDArray[np.float32], out: NDArray[np.complex64]) -> None:
        """Fill out[b, m, n] = windows[b] at (m − f_row, n − f_column), for the first B windows.

        Four taps along rows, then along columns, on flattened real arrays: the end of a line runs
        into the margin of the next, which is cropped at the end. Several times as fast as
        two-dimensional slices or small matrix products.

        Args:
            taps: (B, 2, 4), `keys_taps` of the fractions (B, 2) row, column.
            out: (B, height, width) complex64. Row 0 (column 0) is zero where the row (column)
                fraction is not: it lies before the first sample, and nothing is extrapolated.
        """
        count, height, width = out.shape
        _extend(self._wide[:count])
        line = 2 * self._wide.shape[2]  # real and imaginary parts lie side by side
        wide, by_row, both = (
            buffer[:count].reshape(count, -1).view(np.float32)
            for buffer in (self._wide, self._by_row, self._both)
        )
        product = self._product[:count]
        _convolve(wide, taps[:, 0], line, by_row[:, : height * line], product)
        _convolve(by_row, taps[:, 1], 2, both, product)
        out[:] = self._both[:count, :, :width]
        _drop_before_first(out, taps)


class ShiftedCopies:
    """One window (h, w) float32 shifted as by `WindowShifter`, for many fractions at once."""

    def __init__(self, window: NDArray[np.float32]) -> None:
        wide = np.pad(window, _MARGIN_PX)
        _extend(wide[None])
        shifts = sliding_window_view(wide, window.shape)[:_TAPS, :_TAPS]
        self._shifts = shifts.reshape(_TAPS**2, -1)

    def fill(self, taps: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the shifted copies for taps (B, 2, 4) into `out` (B, h, w) float32, contiguous.

        One matrix product with the sixteen whole-pixel shifts of the window.
        """
        both = (taps[:, 0, :, None] * taps[:, 1, None, :]).reshape(len(out), -1)
        np.matmul(both, self._shifts, out=out.reshape(len(out), -1))
        _drop_before_first(out, taps)


def _drop_before_first(
    windows: NDArray[np.float32] | NDArray[np.complex64], taps: NDArray[np.float32]
) -> None:
    fractional = taps[:, :, 1] != 0
    windows[fractional[:, 0], 0] = 0
    windows[fractional[:, 1], :, 0] = 0


def _extend(wide: NDArray[np.float32] | NDArray[np.complex64]) -> None:
    """Extrapolate by one sample into the margin of two by Keys' boundary rule (1981, eq. 19)."""
    wide[:, 1] = 3 * wide[:, 2] - 3 * wide[:, 3] + wide[:, 4]
    wide[:, -2] = 3 * wide[:, -3] - 3 * wide[:, -4] + wide[:, -5]
    wide[:, :, 1] = 3 * wide[:, :, 2] - 3 * wide[:, :, 3] + wide[:, :, 4]
    wide[:, :, -2] = 3 * wide[:, :, -3] - 3 * wide[:, :, -4] + wide[:, :, -5]


def _convolve(
    samples: NDArray[np.float32],
    taps: NDArray[np.float32],
    step: int,
    out: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    """out[:, i] = Σ_t taps[:, t] · samples[:, t·step + i]; `product` is a buffer of its shape."""
    size = out.shape[1]
    np.multiply(samples[:, :size], taps[:, :1], out=out)
    for tap in range(1, _TAPS):
        run = samples[:, tap * step : tap * step + size]
        np.multiply(run, taps[:, tap, None], out=product)
        out += product
