"""From the sum of laid patches to their image, in any thread."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError


@dataclass(frozen=True)
class Stitched:
    """Stitched complex image of the object with its coverage and its place on the object.

    Attributes:
        image: (H, W) complex64, zero where coverage is zero. Its global phase, which is not
            measurable, is chosen so that Σ coverage · image is real and positive.
        coverage: (H, W) float32, summed illumination weight.
        window_offset_px: (2,) float64 row, column: position_px + offset = centre of the top-left
            pixel of that frame's network window in this image.
        origin_px: (2,) int64, object row, column of image pixel (0, 0), in the coordinates of the
            positions.
        offsets_rad: (N,) float64, phase added to each patch; 0 for a frame that was left out.
        used: (N,) bool, False for frames without counts or with non-finite values.
        rounds: number of relaxation sweeps after the greedy pass.
        largest_change_rad: largest change of an offset in the last sweep, relative to the mean
            change.
    """

    image: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    window_offset_px: NDArray[np.float64]
    origin_px: NDArray[np.int64]
    offsets_rad: NDArray[np.float64]
    used: NDArray[np.bool_]
    rounds: int
    largest_change_rad: float


@dataclass(frozen=True, eq=False)
class LaidSums:
    """What patches laid so far sum up to: enough for their image, in any thread.

    Attributes:
        total: (H, W) complex64, sum of the rotated, weighted patches; `stitched` makes the image in
            its memory.
        coverage: (H, W) float32, summed weight.
        origin_px: (2,) int64, object row, column of pixel (0, 0).
        window_start_px: row and column of a patch in its full window.
        offset_rad: (N,) float64, phase added to each patch.
        used: (N,) bool, False for frames without counts or with non-finite values.
        rounds: number of relaxation sweeps over all patches.
        largest_change_rad: as in `Stitched`; infinite before the first sweep.
    """

    total: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    origin_px: NDArray[np.int64]
    window_start_px: int
    offset_rad: NDArray[np.float64]
    used: NDArray[np.bool_]
    rounds: int = 0
    largest_change_rad: float = math.inf

    def stitched(self) -> Stitched:
        """The image; only once.

        Raises:
            ResultError: if no frame had a usable patch.
        """
        check_any(self.used)
        image, coverage = self.total, self.coverage
        turn = global_turn(image)
        covered = coverage > 0
        np.divide(image, coverage, out=image, where=covered)
        image *= np.complex64(turn)
        image[~covered] = 0  # rounding residue
        offsets = np.angle(np.exp(1j * self.offset_rad) * turn)
        return Stitched(
            image=image,
            coverage=coverage,
            window_offset_px=(self.window_start_px - self.origin_px).astype(np.float64),
            origin_px=self.origin_px,
            offsets_rad=np.where(self.used, offsets, 0.0),
            used=self.used,
            rounds=self.rounds,
            largest_change_rad=self.largest_change_rad,
        )


def global_turn(weighted: NDArray[np.complex64]) -> complex:
    """Factor of modulus 1 that makes the sum of a coverage-weighted image real and positive."""
    total = complex(weighted.sum(dtype=np.complex128))
    return total.conjugate() / abs(total) if total else 1.0 + 0j


def blank_value(image: NDArray[np.complex64]) -> complex:
    """What stands for pixels that nothing is known of: median amplitude and mean phase of others.

    Args:
        image: the pixels that are known.
    """
    return complex(np.median(np.abs(image)) * np.exp(1j * np.angle(image.sum())))


def check_any(used: NDArray[np.bool_]) -> None:
    """See that some frame had a usable patch.

    Raises:
        ResultError: if none of `used` (N,) is True.
    """
    if not used.any():
        raise ResultError(
            f"none of the {len(used)} frames has counts that give a finite patch: "
            "is the shutter closed, or everything masked?"
        )
