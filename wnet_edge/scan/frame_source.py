"""Sources of a scan's frames, read lazily by slices."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class FrameSource(Protocol):
    """Frames (N, H, W) that are read on indexing, like an h5py dataset or a numpy array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        ...

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's and numpy's own signature
        """Frames of a slice, (n, H, W) counts; rows and columns may be sliced too."""
        ...


@runtime_checkable
class GrowingFrames(FrameSource, Protocol):
    """Frames of a file that may still be written to."""

    @property
    def may_grow(self) -> bool:
        """Whether more frames can be added; otherwise room was made for all from the start."""
        ...

    def written(self, since: int = 0) -> NDArray[np.bool_] | None:
        """Whether each frame (N,) has been written, as the first `since` are known to have been.

        None if the file can't tell.
        """
        ...


_BRIDGED_FRAMES = 8
"""Largest gap between two selected frames that is read through: a chunk often holds several."""


class SelectedFrames:
    """Selected frames (K, H, W) of a source (N, H, W), by ascending frame number, read lazily."""

    def __init__(self, source: FrameSource, numbers: NDArray[np.int64]) -> None:
        self._source = source
        self._numbers = numbers

    @property
    def shape(self) -> tuple[int, ...]:
        """(K, H, W)."""
        return (len(self._numbers), *self._source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self._source.dtype

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's and numpy's own signature
        """Frames of a slice or an index; rows and columns may be sliced where the source allows."""
        along, *within = key if isinstance(key, tuple) else (key,)

        def read(of_source: slice | int) -> Any:  # noqa: ANN401 - as h5py's
            return self._source[(of_source, *within) if within else of_source]

        numbers = self._numbers[along]
        if np.ndim(numbers) == 0:
            return read(int(numbers))
        runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > _BRIDGED_FRAMES) + 1)
        parts = [read(slice(run[0], run[-1] + 1))[run - run[0]] for run in runs if len(run)]
        return np.concatenate(parts) if parts else read(slice(0))
