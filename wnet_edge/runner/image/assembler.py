"""Frames in, image out at any time: prepare → graph → patches → stitcher, for one scan.

The middle of the flow, wherever frames come from: `infer` reads them from a file, a live scan
receives them. The three steps may be called one after the other (`add`) or with the graph in a
thread of its own (`prepare`, `patches`, `lay`).
"""

from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.package.golden import Patches
from wnet_edge.package.opening import Package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.image.amplitude_scale import AmplitudeReference, AmplitudeScale
from wnet_edge.runner.image.self_check import FrameSample, SelfCheck, self_check
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.scan.preparation import Preparation, Prepared
from wnet_edge.stitching.stitcher import Stitched, Stitcher, StitchOptions

COMPARED_FRAMES = 100
"""Frames that judge an image."""


@dataclass(frozen=True)
class Assembled:
    """The image of the frames so far.

    Attributes:
        stitched: the image and where it lies, in its amplitude scale.
        amplitude_scale: what the amplitude is relative to.
        transmission: median share of the probe's power that reached the detector; None without a
            probe.
        median_counts: of the frames in the image.
    """

    stitched: Stitched
    amplitude_scale: AmplitudeScale
    transmission: float | None
    median_counts: float


class Assembler:
    """Takes the frames of one scan, batch by batch, and gives their image.

    A context manager: what the stitcher keeps on the disk goes when the block ends.

        with Assembler(scan.setup, package, graph.run) as assembler:
            for frames, positions_m in batches:
                assembler.add(frames, positions_m)
                look = assembler.image()
            assembled = assembler.finish()

    Args:
        setup: what all frames share.
        package: that fits it.
        run: one of the package's graphs.
        expected_m: (N, 2) positions of all frames to come, where they are known; else the image
            grows with the frames.
        stitch_options: how hard the stitcher tries.

    Attributes:
        values_masked: pixel values so far that are no counts (NaN, detector gaps) outside the
            setup's mask, each left out of its frame.
        values_clipped: negative values so far, outside the mask, that were taken as zero.
        frames_flat: frames so far that are as bright everywhere; they are left out.

    Raises:
        PackageError: if the package's probe is dark in the network's window.
        ScanError: if the image would be too large.
        ResultError: if the stitcher's temporary file finds no room.
    """

    def __init__(
        self,
        setup: FrameSetup,
        package: Package,
        run: RunFrames,
        expected_m: NDArray[np.float64] | None = None,
        stitch_options: StitchOptions | None = None,
    ) -> None:
        self.values_masked = self.values_clipped = self.frames_flat = 0
        self._setup, self._package, self._run = setup, package, run
        window_px = package.manifest.window_px
        self._preparation = Preparation(setup.mask, setup.frame_px // window_px)
        self._amplitude = AmplitudeReference(setup.probe)
        self._sample = FrameSample(None if expected_m is None else len(expected_m))
        self._positions_m: list[NDArray[np.float64]] = []
        self._prepared = 0
        try:
            self._stitcher = Stitcher(
                setup.full_window_px,
                window_px,
                package.instrument.weight,
                stitch_options,
                None if expected_m is None else self._pixels(expected_m),
            )
        except ScanError as error:
            raise ScanError(f"{setup.path}: {error}") from error

    def __enter__(self) -> "Assembler":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let what is on the disk go; no frame can be added any more."""
        self._stitcher.close()

    def add(
        self,
        frames: NDArray[np.float32],
        positions_m: NDArray[np.float64],
        left_out: NDArray[np.bool_] | None = None,
    ) -> None:
        """The next B frames through all steps.

        Args:
            frames: (B, n, n) counts; they stay as they are.
            positions_m: (B, 2) row, column of their full windows on the object.
            left_out: (B,) True for frames that get no weight; their positions are any finite ones.

        Raises:
            ProviderError: if the graph's provider fails.
            ScanError: if a position is not finite, or the image becomes too large.
            ResultError: if the stitcher's temporary file finds no room.
        """
        batch = self.prepare(frames, left_out)
        self.lay(batch, self.patches(batch), positions_m)

    def prepare(
        self, frames: NDArray[np.float32], left_out: NDArray[np.bool_] | None = None
    ) -> Prepared:
        """First step: the next B frames (B, n, n) to counts as the graph takes them."""
        batch = self._preparation.prepare(frames, left_out)
        self._sample.add(self._prepared, batch.counts)
        self._prepared += len(frames)
        return batch

    def patches(self, batch: Prepared) -> Patches:
        """Second step, in any thread: counts through the graph.

        Raises:
            ProviderError: if the graph's provider fails.
        """
        return self._run(batch.counts)

    def lay(self, batch: Prepared, patches: Patches, positions_m: NDArray[np.float64]) -> None:
        """Third step, in the order of the first: patches at `positions_m` (B, 2) on the image.

        Raises:
            ScanError: if a position is not finite, or the image becomes too large.
            ResultError: if the stitcher's temporary file finds no room.
        """
        self.values_masked += batch.values_masked
        self.values_clipped += batch.values_clipped
        self.frames_flat += batch.frames_flat
        amplitude, phase_rad = (values[:, 0] for values in patches)
        scale = self._amplitude.scale(batch.totals)
        try:
            self._stitcher.add(self._pixels(positions_m), amplitude, phase_rad, scale)
        except ScanError as error:
            raise ScanError(f"{self._setup.path}: {error}") from error
        self._positions_m.append(positions_m)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """(N,) frames so far without counts, bad ones, and those that were to be left out."""
        without_counts: NDArray[np.bool_] = self._amplitude.totals == 0
        return without_counts

    def image(self, rounds: int = 1) -> Assembled:
        """The image so far, its phases settled by up to `rounds`; frames can still be added.

        Raises:
            ResultError: if no frame had a usable patch so far.
        """
        return self._assembled(self._stitcher.image(rounds))

    def finish(self) -> Assembled:
        """The image of all frames, its phases settled; no frame can be added afterwards.

        Raises:
            ResultError: if no frame had a usable patch.
        """
        return self._assembled(self._stitcher.finish())

    def check(self, assembled: Assembled, compared_frames: int = COMPARED_FRAMES) -> SelfCheck:
        """Whether an image of this scan explains its frames, by up to so many of them."""
        positions_m = np.concatenate(self._positions_m)
        return self_check(
            self._sample,
            self._setup,
            positions_m,
            self._package,
            assembled.stitched,
            compared_frames,
        )

    def _assembled(self, stitched: Stitched) -> Assembled:
        reference = self._amplitude.settled(stitched.used)
        return Assembled(
            replace(stitched, image=stitched.image * np.float32(reference.factor)),
            reference.scale,
            reference.transmission,
            reference.median_counts,
        )

    def _pixels(self, positions_m: NDArray[np.float64]) -> NDArray[np.float64]:
        return positions_px(positions_m, self._setup.object_pixel_size_m)
