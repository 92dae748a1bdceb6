"""From detector frames to what the graph takes, and the normalisation that the graph begins with.

frames → **bin, mask → counts** → [normalise → network] → patches. The same binning serves
simulation, inference and the embedded example; the normalisation here is the reference that the
exported graph is tested against.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.binning import bin_frames

NOT_A_COUNT = 4e9
"""32-bit detectors mark gaps and overflow with 2³² − 1; no pixel counts so far in one frame."""

MASKED = np.float32(-1.0)
"""Value of a masked pixel in `counts`: the graph leaves out any pixel below zero."""


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
