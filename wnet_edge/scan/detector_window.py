"""Square window of the detector around zero frequency, cropped and oriented for the network.

A step of preprocess, before binning: zero frequency from the corner to the centre, crop around it,
flips and transposition. Frames are read through the window, so that only the needed part of a large
detector is ever in memory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.scan.counts import NOT_A_COUNT
from wnet_edge.scan.frame_source import FrameSource

NO_COUNT = np.float32(np.nan)
"""Value of a pixel without a valid count in this frame."""

_LARGE_FRAME_PX = 1 << 20
"""From this size on, frames that must be read whole are read one at a time."""


@dataclass(frozen=True)
class DetectorWindow:
    """Square crop of the detector, and its orientation.

    Attributes:
        detector_shape: (H, W) of the frames as stored.
        size_px: edge n of the window.
        centre_px: row, column of zero frequency, which becomes pixel (n // 2, n // 2).
        from_corner: zero frequency is at pixel (0, 0) of the stored frames; they are shifted to
            the centre first, and `centre_px` refers to the shifted frames.
        orientation: applied to the window after cropping.
    """

    detector_shape: tuple[int, int]
    size_px: int
    centre_px: tuple[int, int]
    from_corner: bool = False
    orientation: Orientation = Orientation.IDENTITY

    @property
    def _start_px(self) -> tuple[int, int]:
        half = self.size_px // 2
        return self.centre_px[0] - half, self.centre_px[1] - half

    @property
    def outside_px(self) -> int:
        """Number of pixels of the window that lie outside the detector."""
        rows, columns = (int(part.stop - part.start) for part in self._part)
        return self.size_px**2 - rows * columns

    @property
    def _part(self) -> tuple[slice, slice]:
        """Slices of the detector's rows and columns that the window covers."""
        rows, columns = (
            slice(min(max(start, 0), length), min(max(start + self.size_px, 0), length))
            for start, length in zip(self._start_px, self.detector_shape, strict=True)
        )
        return rows, columns

    def read(self, frames: FrameSource, key: Any) -> NDArray[Any]:  # noqa: ANN401 - as h5py's
        """Frames `key` of (N, H, W), cropped and oriented: (B, n, n) or (n, n), stored dtype."""
        if self.from_corner:
            return self._cut_whole(frames, key)
        rows, columns = self._part
        return self._place(np.asarray(frames[key, rows, columns]), 0)

    def _cut_whole(self, frames: FrameSource, key: Any) -> NDArray[Any]:  # noqa: ANN401 - as h5py's
        """Read frames whole, then crop them; large ones one at a time."""
        numbers = np.arange(frames.shape[0])[key]
        if numbers.ndim == 0 or frames.shape[1] * frames.shape[2] <= _LARGE_FRAME_PX:
            return self.cut(np.asarray(frames[key]))
        return np.stack([self.cut(np.asarray(frames[n])) for n in numbers.tolist()])

    def cut(self, images: NDArray[Any], fill: Any = 0) -> NDArray[Any]:  # noqa: ANN401 - of any type
        """Crop and orient images (..., H, W) of any dtype to (..., n, n); `fill` outside them."""
        if self.from_corner:
            images = np.fft.fftshift(images, axes=(-2, -1))
        rows, columns = self._part
        return self._place(images[..., rows, columns], fill)

    def _place(self, part: NDArray[Any], fill: Any) -> NDArray[Any]:  # noqa: ANN401 - of any type
        """Pad the part inside the detector to the whole window, and orient it."""
        n = self.size_px
        if part.shape[-2:] != (n, n):
            whole = np.full((*part.shape[:-2], n, n), fill, dtype=part.dtype)
            row, column = (max(-start, 0) for start in self._start_px)
            whole[..., row : row + part.shape[-2], column : column + part.shape[-1]] = part
            part = whole
        return orient(part, self.orientation)


class WindowFrames:
    """Frames (N, H, W) cropped to a window on reading: (N, n, n) float32 counts, NaN if invalid.

    Invalid are pixels with the largest value of an integer type or the one below, by which a
    detector marks masked and unreadable pixels (Dectris, SIMPLON API reference, "pixel_mask":
    2^bits − 1 and − 2), and values from `no_count_from` on: the mark of a detector whose frames
    were written in a wider type.
    """

    def __init__(
        self, frames: FrameSource, window: DetectorWindow, no_count_from: float = NOT_A_COUNT
    ) -> None:
        self._frames = frames
        self._window = window
        self._no_count_from = no_count_from

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, n, n)."""
        return (self._frames.shape[0], self._window.size_px, self._window.size_px)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32."""
        return np.dtype(np.float32)

    def of(self, frames: FrameSource) -> "WindowFrames":
        """Other frames of the same detector, cropped alike."""
        return WindowFrames(frames, self._window, self._no_count_from)

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice or an index."""
        counts = as_counts(self._window.read(self._frames, key))
        if self._no_count_from < NOT_A_COUNT:
            counts[counts >= self._no_count_from] = NO_COUNT
        return counts


def as_counts(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Convert stored values of any real dtype to float32 counts, `NO_COUNT` where invalid."""
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are invalid too
        counts = stored.astype(np.float32)
    if stored.dtype.kind in "ui":
        no_count = stored >= np.iinfo(stored.dtype).max - 1
        if no_count.any():
            counts[no_count] = NO_COUNT
    return counts
