"""Axis order of frame arrays: which axis numbers the frames, which are rows and columns.

The usual order is (N, H, W), for rasters (rows, columns, H, W); some programs put frames last, or
add axes of length 1. Readers return a `FoundStack`, whose axes can be determined again once
positions, mask and probe are known.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.stacks import ArrangedFrames, check_frames, check_numbers
from wnet_edge.io.found import Found, FoundScan, Unreadable
from wnet_edge.scan.frame_source import FrameSource

_USUAL = {3: "NHW", 4: "RCHW"}
_OTHERS = {3: ("HWN", "HNW"), 4: ("HWRC",)}
_SAMPLED = 64
"""Indices sampled along an axis if only the counts can determine the axes."""
_STEADIER = 3.0
"""Least ratio of the variation of sums along two axes: whole frames vary less than rows of one."""


@dataclass(frozen=True)
class Stack:
    """A stored array of frames.

    Attributes:
        path: path of the scan, for messages.
        where: file and dataset, for messages.
        shape: shape of the array.
        dtype: its dtype.
        arrange: returns frames (N, H, W), given the meaning of each axis.
        told: meaning of each axis if the format states it, else empty.
    """

    path: Path
    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arrange: Callable[[str], FrameSource]
    told: str = ""


@dataclass(frozen=True)
class FoundStack(Found[FrameSource]):
    """Frames with the stored array they come from.

    Attributes:
        stack: the array.
        axes: assumed meaning of each of its axes.
        by_user: whether the user has set it.
    """

    stack: Stack
    axes: str
    by_user: bool = False


class UnarrangedStack(Unreadable):
    """Placeholder for an array that is no stack in the usual axis order; another may fit."""

    def __init__(self, error: ScanError, stack: Stack) -> None:
        super().__init__(error)
        self.where = stack.where
        self.stack = stack


def arrange(stored: FrameSource, axes: str) -> FrameSource:
    """Frames (N, H, W) of an array that can be sliced along any axis."""
    return stored if axes == "NHW" else ArrangedFrames(stored, axes)


def found_stack(stack: Stack) -> Found[FrameSource]:
    """Frames of an array in the usual axis order, or a placeholder until another is known.

    Raises:
        ScanError: if it is not real-valued, or no axis order gives a stack.
    """
    check_numbers(stack.path, stack.where, stack.dtype)
    axes = stack.told or _usual(stack.shape)
    if len(axes.replace("1", "")) not in _USUAL:
        raise ScanError(
            f"{stack.path}: {stack.where} is {stack.shape}, not (N, H, W); write a stack of frames"
        )
    try:
        return _arranged(stack, axes)
    except ScanError as error:
        if not any(_is_stack(stack, other) for other in _others(stack.shape)):
            raise
        return cast("Found[FrameSource]", UnarrangedStack(error, stack))


def raster_of(frames: Found[FrameSource] | None) -> tuple[int, int] | None:
    """Rows, columns of frames stored as a raster; None for a plain stack."""
    if not isinstance(frames, FoundStack) or "R" not in frames.axes:
        return None
    length = dict(zip(frames.axes, frames.stack.shape, strict=True))
    return length["R"], length["C"]


def columns_first(frames: Found[FrameSource] | None) -> bool:
    """Whether the frames of a raster are stored column by column."""
    return isinstance(frames, FoundStack) and "CR" in frames.axes.replace("1", "")


def with_axes(found: FoundScan, axes: str) -> FoundScan:
    """The scan with the frames' axes given by the user, who may omit axes of length 1.

    Raises:
        ScanError: if they don't fit the array.
    """
    stack = _stack(found)
    if stack is None:
        raise ScanError(
            f"{found.path}: its frames are not an array of their own; leave out --frames-axes"
        )
    letters = axes.upper()
    kind = Counter(letters.replace("1", ""))
    ok = kind in (Counter("NHW"), Counter("RCHW"))
    if ok and len(letters) < len(stack.shape):
        rest = iter(letters.replace("1", ""))
        letters = "".join("1" if n == 1 else next(rest, "?") for n in stack.shape)
        ok = not next(rest, "") and "?" not in letters
    ones = all(n == 1 for n, a in zip(stack.shape, letters, strict=False) if a == "1")
    if not ok or len(letters) != len(stack.shape) or not ones:
        raise ScanError(
            f"{found.path}: {stack.where} is {stack.shape}, whose axes --frames-axes {axes[:20]} "
            "does not name; give N, H, W, or R, C, H, W, in their order, 1 for one of length 1"
        )
    frames = replace(_arranged(stack, letters), by_user=True)
    return replace(found, frames=frames, raster=raster_of(frames) or found.raster)


def settled_axes(found: FoundScan) -> FoundScan:
    """The scan with the frames' axes determined from positions, mask and probe.

    The usual order is kept if it fits; another is taken, with a note, if only that fits.

    Raises:
        ScanError: if an array fits in two orders, and its counts contradict the usual one.
    """
    stack = _stack(found)
    usual = None if stack is None else stack.told or _usual(stack.shape)
    if stack is None or usual is None or getattr(found.frames, "by_user", False):
        return found
    wanted = _frames_wanted(found)
    fitting = [axes for axes in (usual, *_others(stack.shape)) if _fits(stack, axes, wanted)]
    if len(fitting) > 1:
        fitting = [axes for axes in fitting if _as_mask_and_probe(found, stack, axes)] or fitting
    if not fitting:
        return found
    if fitting[0] == usual:
        if len(fitting) > 1:
            _refuse_against_counts(stack, usual, fitting[1])
        return found if not stack.told else _noted(found, stack, usual)
    if len(fitting) > 1:
        raise ScanError(
            f"{stack.path}: {stack.where} is {stack.shape}, and {wanted} positions fit several of "
            f"its axes; give --frames-axes {' or '.join(fitting)}"
        )
    frames = _arranged(stack, fitting[0])
    raster = raster_of(frames) or found.raster
    return _noted(replace(found, frames=frames, raster=raster), stack, fitting[0])


def _noted(found: FoundScan, stack: Stack, axes: str) -> FoundScan:
    why = "as MATLAB stores arrays" if axes == stack.told else "as the number of positions implies"
    note = f"the axes of {stack.where} {stack.shape} are taken as {axes}, {why} (--frames-axes)"
    return replace(found, notes=(*found.notes, note))


def _usual(shape: tuple[int, ...]) -> str:
    """The usual axis order, where trailing axes of length 1 are not part of the frame."""
    ones = 0
    while len(shape) - ones > 3 and shape[len(shape) - ones - 1] == 1:
        ones += 1
    return _USUAL.get(len(shape) - ones, "?" * len(shape)) + "1" * ones


def _others(shape: tuple[int, ...]) -> list[str]:
    """Other axis orders, with axes of length 1 anywhere."""
    long = sum(n != 1 for n in shape)
    orders = _OTHERS.get(long, ())
    if long < len(shape):
        orders = (_USUAL.get(long, ""), *orders)
    others = []
    for order in filter(None, orders):
        letters = iter(order)
        others.append("".join("1" if n == 1 else next(letters) for n in shape))
    return others


def _stack(found: FoundScan) -> Stack | None:
    stack = getattr(found.frames, "stack", None)
    return stack if isinstance(stack, Stack) else None


def _shape(stack: Stack, axes: str) -> tuple[int, int, int]:
    """(N, H, W)."""
    length = dict(zip(axes, stack.shape, strict=True))
    return math.prod(length[a] for a in axes if a in "NRC"), length["H"], length["W"]


def _arranged(stack: Stack, axes: str) -> FoundStack:
    shape = _shape(stack, axes)
    other = next((o for o in _others(stack.shape) if o != axes and _is_stack(stack, o)), "")
    check_frames(stack.path, stack.where, shape, other)
    return FoundStack(stack.arrange(axes), stack.where, stack, axes)


def _frames_wanted(found: FoundScan) -> int | None:
    """Expected number of frames from the positions; None without positions."""
    if found.positions is None or isinstance(found.positions, Unreadable):
        return None
    positions = found.positions.value
    return len(positions.values)


def _is_stack(stack: Stack, axes: str) -> bool:
    try:
        check_frames(stack.path, stack.where, _shape(stack, axes))
    except ScanError:
        return False
    return True


def _fits(stack: Stack, axes: str, wanted: int | None) -> bool:
    return _shape(stack, axes)[0] == wanted and _is_stack(stack, axes)


def _as_mask_and_probe(found: FoundScan, stack: Stack, axes: str) -> bool:
    """Whether frames in this axis order match the mask's shape and the probe's size."""
    frame = _shape(stack, axes)[1:]
    mask, probe = found.mask, found.probe
    if mask is not None and not isinstance(mask, Unreadable) and mask.value.shape != frame:
        return False
    if probe is None or isinstance(probe, Unreadable):
        return True
    return bool(min(frame) * found.binning >= probe.value.shape[-1])


def _refuse_against_counts(stack: Stack, usual: str, other: str) -> None:
    """Check the usual axis order by the counts: rows of a far field vary much more than frames.

    Raises:
        ScanError: if the frames of the usual order vary more than those of the other.
    """
    steps = [max(1, -(-n // _SAMPLED)) for n in stack.shape]
    source = stack.arrange(usual)
    length = dict(zip(usual, steps, strict=True))
    along = math.prod(length[axis] for axis in usual if axis in "NRC")
    sample = np.asarray(source[::along], dtype=np.float64)[:, :: length["H"], :: length["W"]]
    spread = {axis: _spread(np.nan_to_num(sample), at) for at, axis in enumerate("NHW")}
    # The frame axis of the other order is a row or column axis in the usual one.
    taken = usual[other.index("N")] if "N" in other and "N" in usual else "H"
    if spread["N"] > _STEADIER * spread[taken]:
        raise ScanError(
            f"{stack.path}: {stack.where} is {stack.shape}: as many positions as two of its axes "
            f"are long, and its counts look as if the frames were {other}, not {usual}; give "
            f"--frames-axes {other} or {usual}"
        )


def _spread(sample: NDArray[np.float64], axis: int) -> float:
    """Relative standard deviation along an axis of the sums over all other axes."""
    sums = sample.sum(axis=tuple(other for other in range(3) if other != axis))
    return float(sums.std() / max(abs(sums.mean()), 1e-300))
