"""Frames gathered so far: all that their image is made of, in any thread while more come."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.opening import Package
from wnet_edge.runner.image.amplitude_scale import AmplitudeReference, AmplitudeScale
from wnet_edge.runner.image.self_check import FrameSample, SelfCheck, self_check
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.stitching.laid_sums import LaidSums, Stitched

COMPARED_FRAMES = 100
"""Default number of frames compared in the self-check."""


@dataclass(frozen=True)
class Assembled:
    """The image of frames.

    Attributes:
        stitched: the image and its place on the object, in its amplitude scale.
        amplitude_scale: reference of the amplitude scale.
        transmission: median fraction of the probe's power that reached the detector; None without
            a probe.
        median_counts: median counts per frame, of the frames in the image.
    """

    stitched: Stitched
    amplitude_scale: AmplitudeScale
    transmission: float | None
    median_counts: float


@dataclass(frozen=True)
class Faults:
    """What was wrong with frames.

    Attributes:
        values_masked: pixel values that are no counts (NaN, detector gaps) outside the setup's
            mask, each left out of its frame.
        values_clipped: negative values outside the mask that were taken as zero.
        frames_flat: uniform frames, which are left out.
    """

    values_masked: int = 0
    values_clipped: int = 0
    frames_flat: int = 0


@dataclass(frozen=True, eq=False)
class Gathered:
    """What an assembler has gathered, apart from it.

    Attributes:
        setup: detector and probe of the scan.
        package: whose graph ran.
        sums: of the patches.
        amplitude: reference of their amplitude scale.
        sample: of the frames.
        positions_m: (N, 2) row, column of all frames, metres.
        probe: (modes, n, n) complex64 by which their image is judged.
        faults: of all frames.
    """

    setup: FrameSetup
    package: Package
    sums: LaidSums
    amplitude: AmplitudeReference
    sample: FrameSample
    positions_m: NDArray[np.float64]
    probe: NDArray[np.complex64]
    faults: Faults

    def assembled(self) -> Assembled:
        """The image of these frames; only once.

        Raises:
            ResultError: if no frame had a usable patch.
        """
        stitched = self.sums.stitched()
        reference = self.amplitude.settled(stitched.used)
        return Assembled(
            replace(stitched, image=stitched.image * np.float32(reference.factor)),
            reference.scale,
            reference.transmission,
            reference.median_counts,
        )

    def check(
        self,
        assembled: Assembled,
        compared_frames: int = COMPARED_FRAMES,
        *,
        refined: bool = False,
    ) -> SelfCheck:
        """Self-check of the image, `refined` or not, with up to `compared_frames` of its frames."""
        return self_check(
            self.sample,
            self.setup,
            self.positions_m,
            self.probe,
            self.package,
            assembled.stitched,
            compared_frames,
            refined=refined,
        )
