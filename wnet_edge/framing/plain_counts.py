"""Detection of frames that are not plain counts: swapped bytes, roots, logarithms, overflow.

File converters swap bytes, shift bits, take roots and logarithms, wrap and clip. Each leaves a
trace in the values, which is searched in the frames that `wnet_edge.framing.survey` reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.scan.counts import NOT_A_COUNT
from wnet_edge.scan.detector_window import as_counts

_BYTE = 256
_SWAPPED_FLOAT = 1e-30
"""Floats that are all below this have swapped bytes: whole numbers end in zero bytes, which become
their first bytes (the exponent) when swapped."""
_LEAST_KINSHIP = 0.5
_CLEAR_KINSHIP = 0.2
_NO_KINSHIP = 0.3
"""Correlation of neighbouring pixels (square roots) below which values are no far field: counts
have 0.8 and more, swapped bytes and wrapped counts hardly any."""
_LEAST_NUMBERS = 1000
_NUMBERS = 200_000
"""Largest number of values of a frame that are examined."""
_WHOLE = 1e-2
_DIFFERENT = 3
_OFFSET_SHARE = 0.02
_OFFSET_QUANTILE = 1e-4
"""An offset is reported if this quantile of the values exceeds `_OFFSET_SHARE` of their mean."""
_VALUES = 8_000_000
_LEAST_PILE = 8
_PILE_RATIO = 3
_PILE_WIDTH = 1 / 64
_APART = 1.5


@dataclass(frozen=True)
class Top:
    """Interpretation of a detector's largest values: marks of invalid pixels, or saturation.

    Attributes:
        no_count_from: values from here on mark invalid pixels; `NOT_A_COUNT` without such marks.
        saturated_at: value at which counts are saturated; 0 if they are not.
        saturated_share: fraction of all values that are saturated.
    """

    no_count_from: float = NOT_A_COUNT
    saturated_at: float = 0.0
    saturated_share: float = 0.0


def top_of(counts: NDArray[np.float32], used: NDArray[np.bool_], stuck: NDArray[np.bool_]) -> Top:
    """Find marks and saturation in the largest values of frames.

    The distribution of counts tails off towards the largest; if many values equal the largest, they
    are saturated, or, if no other values come near it, it is a mark of invalid pixels. A gap marked
    65535 by a 16-bit detector keeps this value when frames are written as 32-bit integers or
    floats. If some pixels reach the largest value in some frames, pixels stuck at it are saturated,
    too.

    Args:
        counts: (k, H, W) float32.
        used: (H, W) bool, pixels to examine.
        stuck: (H, W) bool, pixels with the same value in all frames; none of `used`.
    """
    some = counts[:: -(-counts.size // _VALUES)]
    values = some[:, used]
    always = some[0][stuck]
    size = values.size + len(some) * always.size
    marks_from = NOT_A_COUNT
    while values.size:
        largest = values.max()
        pile = int(np.count_nonzero(values == largest))
        values = values[values < largest]
        next_largest = float(values.max(initial=0))
        if pile < _LEAST_PILE or next_largest == 0:
            break
        pile += len(some) * int(np.count_nonzero(always == largest))
        near = min(next_largest, float(largest) * (1 - _PILE_WIDTH))
        if pile <= _PILE_RATIO * np.count_nonzero(values >= near):
            break
        if largest <= _APART * next_largest:
            return Top(marks_from, float(largest), pile / size)
        marks_from = float(largest)
    return Top(marks_from)


def check_plain_counts(
    subject: str,
    frame: NDArray[Any],
    counts: NDArray[np.float32],
    used: NDArray[np.bool_],
) -> Iterator[str]:
    """Check a frame (H, W) for values that are not plain counts; yields warnings, one line each.

    Args:
        subject: file and dataset, for messages.
        frame: (H, W), values as stored.
        counts: (H, W) float32, the same as counts.
        used: (H, W) bool, valid pixels outside the mask.

    Raises:
        ScanError: if bytes are in the wrong order, or the values are roots or logarithms.
    """
    _check_byte_order(subject, frame)
    numbers = counts[used]
    numbers = numbers[:: -(-max(numbers.size, 1) // _NUMBERS)]
    positive = numbers[numbers > 0].astype(np.float64)
    if len(positive) < _LEAST_NUMBERS:
        return
    whole = _whole(positive) and positive.min() > 0.5
    if not whole:
        _check_transformed(subject, positive)
    yield from _wrapped(frame, positive)
    step = int(np.gcd.reduce(np.rint(positive).astype(np.int64))) if whole else 1
    if step > 1:
        yield (
            f"all values are multiples of {step}, as left-aligned bits, swapped bytes or a gain "
            f"make them: counts are taken {step} times too high; divide the frames by {step}"
        )
    floor, mean = float(np.quantile(numbers, _OFFSET_QUANTILE)), float(numbers.mean())
    if floor > _OFFSET_SHARE * mean:
        yield (
            f"hardly a value is below {floor:.4g}, {100 * floor / mean:.2g} % of the mean: an "
            "offset or background lies under the counts; subtract it (dark frame, pedestal)"
        )


def _check_byte_order(subject: str, frame: NDArray[Any]) -> None:
    """Check that the bytes of a frame (H, W) are in the order stated by its dtype."""
    if frame.dtype.itemsize == 1 or frame.dtype.kind not in "uif":
        return
    kinship, swapped = _kinship(frame), _kinship(frame.byteswap())
    step, mostly = (1, False) if frame.dtype.kind == "f" else _multiples(frame)
    unclear = kinship <= swapped + _CLEAR_KINSHIP
    if swapped > max(kinship + _CLEAR_KINSHIP, _LEAST_KINSHIP):
        what = "numbers that hardly follow their neighbours, and do with their bytes swapped"
    elif step % _BYTE**2 == 0 and unclear:
        what = f"only multiples of {_BYTE**2}"
    elif mostly and step % _BYTE and unclear:
        what = f"mostly multiples of {_BYTE}"
    elif frame.dtype.kind == "f" and 0 < np.nanmax(np.abs(frame), initial=0) < _SWAPPED_FLOAT:
        what = f"numbers below {_SWAPPED_FLOAT:g} only"
    else:
        return
    raise ScanError(
        f"{subject} holds {what}, as numbers do whose bytes are in the wrong order; "
        "write them with the byte order that the file states"
    )


def _multiples(frame: NDArray[Any]) -> tuple[int, bool]:
    """Greatest common divisor of a frame's integers, and whether most are multiples of 256."""
    values = frame[(frame > 0) & (frame < np.iinfo(frame.dtype).max - 1)][:_NUMBERS]
    if len(values) < 2:
        return 1, False
    whole = 2 * int(np.count_nonzero(values % _BYTE == 0)) > len(values)
    return int(np.gcd.reduce(values)), whole


def _kinship(frame: NDArray[Any]) -> float:
    """Correlation of neighbouring pixels of a frame (H, W), of their square roots."""
    counts = as_counts(frame)
    root = np.sqrt(np.where((counts > 0) & (counts < NOT_A_COUNT), counts, np.float32(0)))
    pairs = ((root[1:], root[:-1]), (root[:, 1:], root[:, :-1]))
    return min(_correlation(one, other) for one, other in pairs)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = (part - part.mean(dtype=np.float64) for part in (one, other))
    power = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / power if power > 0 else 0.0


def _check_transformed(subject: str, numbers: NDArray[np.float64]) -> None:
    """Check that these fractional values are not whole counts under a root or logarithm."""
    for name, counts in (
        ("square roots", np.square(numbers)),
        ("logarithms, log10(1 + counts),", 10 ** np.minimum(numbers, 12) - 1),
        ("logarithms, ln(1 + counts),", np.expm1(np.minimum(numbers, 28))),
    ):
        small = counts[(counts > 0.5) & (counts < 200)]
        if len(np.unique(np.rint(small))) >= _DIFFERENT and _whole(small):
            raise ScanError(
                f"{subject} holds {name} of whole numbers, not counts; write the counts themselves"
            )


def _whole(numbers: NDArray[np.float64]) -> bool:
    """Whether these are whole numbers, up to rounding."""
    small = numbers[numbers < 1 / np.finfo(np.float32).eps * _WHOLE]
    return bool((np.abs(small - np.rint(small)) < _WHOLE).all())


def _wrapped(frame: NDArray[Any], numbers: NDArray[np.float64]) -> Iterator[str]:
    """Warning if counts have overflowed their integer type and wrapped around."""
    if frame.dtype.kind not in "ui":
        return
    largest = np.iinfo(frame.dtype).max
    if frame.dtype.kind == "i":
        below = frame[(frame < -(largest // 2)) & (frame > -largest)]
        if len(np.unique(below)) >= _LEAST_PILE and frame.max() > largest // 2:
            yield (
                f"{len(below)} values of one frame lie below -{largest // 2}: counts above "
                f"{largest} do not fit {frame.dtype} and became negative; write unsigned integers"
            )
    elif numbers.max() > 0.95 * largest and _kinship(frame) < _NO_KINSHIP:
        yield (
            f"values go up to {largest} and hardly follow their neighbours: counts did not fit "
            f"{frame.dtype} and started again at 0; write them wider"
        )
