"""How well an image explains each of its frames: where the network has to be trained further."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.judging import frame_fit
from wnet_edge.judging.frame_fit import ImageModel
from wnet_edge.judging.yardstick import ScanPart
from wnet_edge.package.opening import Package
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.laid_sums import Stitched


@dataclass(frozen=True, eq=False)
class FrameFits:
    """R-factor of each frame of a scan.

    Attributes:
        numbers: (N,) int64, of the frames in the measurement, counted from 0.
        centre_m: (N, 2) row, column of the middle of the probe, in the axes of the image.
        r_factor: (N,), NaN for frames whose probe the image does not cover.
        r_free: (N,), the same with counting noise subtracted in quadrature.
    """

    numbers: NDArray[np.int64]
    centre_m: NDArray[np.float64]
    r_factor: NDArray[np.float64]
    r_free: NDArray[np.float64]

    @property
    def compared(self) -> NDArray[np.int64]:
        """Indices of the frames that have an R-factor, the worst explained first."""
        worst_first = np.argsort(-self.r_free, kind="stable")  # NaN last
        return worst_first[: np.count_nonzero(np.isfinite(self.r_free))]

    def r_free_percentile(self, percent: float) -> float:
        """Percentile of `r_free` over the compared frames, of which there are some."""
        return float(np.nanpercentile(self.r_free, percent))


def frame_fits(part: ScanPart, scan: Scan, package: Package, stitched: Stitched) -> FrameFits:
    """Simulate every frame of a part from the image of its scan, and compare it.

    Args:
        part: the frames.
        scan: whose part that is.
        package: with the probe.
        stitched: image of the scan.
    """
    model = ImageModel.of(scan.setup, scan.positions_m, package.probe, package.manifest, stitched)
    r_factor = np.full(len(part.numbers), np.nan)
    r_free = r_factor.copy()
    numbers = part.numbers.tolist()
    compared = [i for i, n in enumerate(numbers) if stitched.used[n] and model.covers(n)]
    fits = frame_fit.frame_fits(model, {numbers[i]: part.counts[i, 0] for i in compared})
    for index, fit in zip(compared, fits, strict=True):
        if fit is not None:
            r_factor[index], r_free[index] = fit.r_factor, fit.r_free
    middle_m = scan.full_window_px // 2 * scan.object_pixel_size_m
    return FrameFits(
        scan.frame_numbers[part.numbers],
        scan.positions_m[part.numbers] + middle_m,
        r_factor,
        r_free,
    )
