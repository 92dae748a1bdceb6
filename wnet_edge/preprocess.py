"""From detector frames to what the graph takes, and the normalisation that the graph begins with.

frames → **bin, mask → counts** → [normalise → network] → patches. The same binning serves
simulation, inference and the embedded example; the normalisation here is the reference that the
exported graph is tested against.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_A_COUNT = 4e9
"""32-bit detectors mark gaps and overflow with 2³² − 1; no pixel counts so far in one frame."""

MASKED = np.float32(-1.0)
"""Value of a masked pixel in `counts`: the graph leaves out any pixel below zero."""


def bin_frames(frames: NDArray[np.float32], binning: int) -> NDArray[np.float32]:
    """Sum b × b detector pixels around zero frequency: (..., H, W) to (..., H / b, W / b).

    The frame is rolled by b // 2 first, so that zero frequency at (H // 2, W // 2) ends in the bin
    (H // 2b, W // 2b): with b = 2, pixels 63 and 64 of 128 form bin 32. The first bin joins the
    last and the first pixels of the frame, which the periodic far field makes neighbours.

    Raises:
        ValueError: if `binning` does not divide the frame.
    """
    height, width = frames.shape[-2:]
    if binning < 1 or height % binning or width % binning:
        raise ValueError(f"{binning} × {binning} binning does not divide {height} × {width} pixels")
    if binning == 1:
        return frames
    # Sums of strided views: several times faster than a reduction over two short axes. What is
    # rolled into the next bin is rolled as a bin, not pixel by pixel.
    rows = [frames[..., k::binning, :] for k in range(binning)]
    tall = _binned(rows, binning // 2, axis=-2)
    return _binned([tall[..., k::binning] for k in range(binning)], binning // 2, axis=-1)


def _binned(parts: list[NDArray[np.float32]], rolled: int, axis: int) -> NDArray[np.float32]:
    """The sum of every bin's pixels, of which the last `rolled` belong to the next bin."""
    own, late = parts[: len(parts) - rolled], parts[len(parts) - rolled :]
    summed: NDArray[np.float32] = sum(own[1:], own[0]) + np.roll(sum(late[1:], late[0]), 1, axis)
    return summed


def network_counts(
    frames: NDArray[np.float32], mask: NDArray[np.bool_], binning: int
) -> NDArray[np.float32]:
    """Frames (N, H, W) and mask (H, W) to graph input `counts` (N, 1, H / b, W / b), float32.

    A bin with some masked pixels is scaled up by the share that is left; a bin with none left is
    `MASKED`.
    """
    if not mask.any():
        return bin_frames(frames, binning)[:, None].astype(np.float32, copy=False)
    binned = bin_frames(np.where(mask, np.float32(0), frames), binning)
    return BinShares.of(mask, binning).rescaled(binned)[:, None].astype(np.float32, copy=False)


@dataclass(frozen=True)
class BinShares:
    """What a mask leaves of each bin.

    Attributes:
        left: (..., h, w) float32, share of the bin's pixels that are not masked; 1 where all are.
        dead: (..., h, w), whether all are.
    """

    left: NDArray[np.float32]
    dead: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], binning: int) -> "BinShares":
        """Of a mask (..., H, W), one for all frames or one a frame."""
        live = bin_frames((~mask).astype(np.float32), binning)
        dead = live == 0
        return cls(np.where(dead, np.float32(1), live / np.float32(binning * binning)), dead)

    def rescaled(self, binned: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sums (N, h, w) over the unmasked pixels of every bin to what all of them would hold."""
        counts: NDArray[np.float32] = binned / self.left
        np.copyto(counts, MASKED, where=self.dead)
        return counts


def normalise(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """sqrt(counts / mean count of the frame) over unmasked pixels: what the network sees.

    Shape and dtype float32 stay. Masked pixels and frames without a count give zeros. Blind to
    flux: normalise(k · counts) = normalise(counts) for k > 0.
    """
    valid = counts >= 0
    kept = np.where(valid, counts, np.float32(0))
    pixels = np.maximum(valid.sum(axis=(-2, -1), keepdims=True), 1)
    mean = kept.sum(axis=(-2, -1), keepdims=True, dtype=np.float64) / pixels
    normalised: NDArray[np.float32] = np.sqrt(kept / np.maximum(mean, 1e-12)).astype(np.float32)
    return normalised
