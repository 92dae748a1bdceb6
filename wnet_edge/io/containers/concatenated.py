"""Several stacks of frames as one: chunks of a scan, or the data files of a detector.

Each stack is opened only when frames of it are read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.found import Found
from wnet_edge.scan.frame_source import FrameSource, GrowingFrames


def concatenated(path: Path, stacks: Sequence[Found[FrameSource]]) -> Found[FrameSource]:
    """Concatenate one or more stacks (n, H, W) along the first axis.

    Raises:
        ScanError: if they differ in frame shape or dtype, or hold too many frames.
    """
    first = stacks[0]
    if len(stacks) == 1:
        return first
    for stack in stacks[1:]:
        wanted, got = (
            (source.value.dtype, tuple(source.value.shape[1:])) for source in (first, stack)
        )
        if wanted != got:
            raise ScanError(
                f"{path}: {stack.where} holds {got[0]} {got[1]} per frame, but {first.where} "
                f"{wanted[0]} {wanted[1]}; name one of them with --frames"
            )
    total = sum(stack.value.shape[0] for stack in stacks)
    if total > MAX_FRAMES:
        raise ScanError(f"{path}: {first.where} and on hold {total} frames; write ≤ {MAX_FRAMES}")
    frames: FrameSource = ConcatenatedFrames([stack.value for stack in stacks])
    return Found(frames, f"{first.where} … {stacks[-1].where}")


class ConcatenatedFrames:
    """Sources (n, H, W) of equal frame shape and dtype as frames (N, H, W)."""

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        self._sources = tuple(sources)
        self._starts = np.cumsum([0, *(source.shape[0] for source in sources)])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return (int(self._starts[-1]), *self._sources[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self._sources[0].dtype

    @property
    def may_grow(self) -> bool:
        """Whether more frames can be added: a further source may follow."""
        return True

    def written(self, since: int = 0) -> NDArray[np.bool_] | None:
        """Whether each frame (N,) has been written; None if a source can't tell."""
        parts = [
            source.written(max(0, since - int(start)))
            for source, start in zip(self._sources, self._starts[:-1], strict=True)
            if isinstance(source, GrowingFrames)
        ]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if len(known) == len(self._sources) else None

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice, of an index, or of a sequence of indices in any order."""
        along, *within = key if isinstance(key, tuple) else (key,)
        numbers = np.arange(self.shape[0])[along]
        owners = np.searchsorted(self._starts, numbers, side="right") - 1
        if np.ndim(numbers) == 0:
            return self._sources[owners][(int(numbers - self._starts[owners]), *within)]
        if not len(numbers):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *within)]
        parts = []
        for run in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(owners)) + 1):
            owner = owners[run[0]]
            inside = numbers[run] - self._starts[owner]
            first, last = int(inside.min()), int(inside.max()) + 1
            stretch = self._sources[owner][(slice(first, last), *within)]
            ordered = np.array_equal(inside, np.arange(first, last))
            parts.append(stretch if ordered else stretch[inside - first])
        return np.concatenate(parts)
