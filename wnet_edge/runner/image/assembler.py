"""Frames in, image out at any time: prepare → graph → patches → stitcher, for one scan.

Independent of the source of the frames: `infer` reads them from a file, a live scan receives them.
The three steps may be called in sequence (`add`), with the graph in a separate thread (`prepare`,
`patches`, `lay`), or the first two on other machines (`take`, `lay`).
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.opening import Package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.image.amplitude_scale import AmplitudeReference
from wnet_edge.runner.image.gathered import Faults, Gathered
from wnet_edge.runner.image.self_check import FrameSample
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.scan.preparation import Preparation, Prepared
from wnet_edge.stitching.laid_sums import LaidSums
from wnet_edge.stitching.stitcher import Stitcher, StitchOptions


class Assembler:
    """Assembles the image of one scan from its frames, batch by batch.

    A context manager: the stitcher's temporary file is deleted on exit.

        with Assembler(scan.setup, package, graph.run) as assembler:
            for frames, positions_m in batches:
                assembler.add(frames, positions_m)
                early = assembler.so_far(len(frames)).assembled()
            assembled = assembler.finish().assembled()

    Args:
        setup: detector and probe of the scan.
        package: package that is compatible with it.
        run: runs one of the package's graphs.
        expected_m: (N, 2) positions of all frames to come, metres; None if unknown, then the image
            grows with the frames.
        stitch_options: stopping criteria and size limit of the stitcher.

    Attributes:
        faults: of all frames so far.

    Raises:
        PackageError: if the package's probe is zero in the network's window.
        ScanError: if the image would be too large.
        ResultError: if there is no disk space for the stitcher's temporary file.
    """

    def __init__(
        self,
        setup: FrameSetup,
        package: Package,
        run: RunFrames,
        expected_m: NDArray[np.float64] | None = None,
        stitch_options: StitchOptions | None = None,
    ) -> None:
        self.faults = Faults()
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the stitcher's temporary file; no frame can be added any more."""
        self._stitcher.close()

    def add(
        self,
        frames: NDArray[np.float32],
        positions_m: NDArray[np.float64],
        left_out: NDArray[np.bool_] | None = None,
    ) -> None:
        """Process the next B frames through all steps.

        Args:
            frames: (B, n, n) float32 counts, not modified.
            positions_m: (B, 2) row, column of their full windows on the object, metres.
            left_out: (B,) bool, True for frames that get no weight, with any finite position.

        Raises:
            ProviderError: if the graph's provider fails.
            ScanError: if a position is not finite, or the image becomes too large.
            ResultError: if there is no disk space for the stitcher's temporary file.
        """
        batch = self.prepare(frames, left_out)
        self.lay(batch, self.patches(batch), positions_m)

    def prepare(
        self, frames: NDArray[np.float32], left_out: NDArray[np.bool_] | None = None
    ) -> Prepared:
        """First step: prepare the next B frames (B, n, n) as input of the graph."""
        batch = self._preparation.prepare(frames, left_out)
        self.take(batch)
        return batch

    def take(self, batch: Prepared) -> None:
        """In place of the first two steps, for frames that took them elsewhere: only `lay` is left.

        Their setup and package must have been the same.
        """
        self._sample.add(self._prepared, batch.counts)
        self._prepared += len(batch.totals)

    def patches(self, batch: Prepared) -> PatchArrays:
        """Second step, in any thread: run the graph.

        Raises:
            ProviderError: if the graph's provider fails.
        """
        return self._run(batch.counts)

    def lay(self, batch: Prepared, patches: PatchArrays, positions_m: NDArray[np.float64]) -> None:
        """Third step, in the order of the first: stitch patches at `positions_m` (B, 2), metres.

        Raises:
            ScanError: if a position is not finite, or the image becomes too large.
            ResultError: if there is no disk space for the stitcher's temporary file.
        """
        self.faults = Faults(
            self.faults.values_masked + batch.values_masked,
            self.faults.values_clipped + batch.values_clipped,
            self.faults.frames_flat + batch.frames_flat,
        )
        amplitude, phase_rad = (values[:, 0] for values in patches)
        scale = self._amplitude.scale(batch.totals)
        try:
            self._stitcher.add(self._pixels(positions_m), amplitude, phase_rad, scale)
        except ScanError as error:
            raise ScanError(f"{self._setup.path}: {error}") from error
        self._positions_m.append(positions_m)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """(N,) bool, frames so far that are not in the image: without counts, bad, or left out."""
        without_counts: NDArray[np.bool_] = self._amplitude.totals == 0
        return without_counts

    def relax(self, count: int) -> None:
        """Relax the phases of `count` patches a little, in turn; in any thread."""
        self._stitcher.relax(count)

    def so_far(self, count: int) -> Gathered:
        """The first `count` frames, copied; in any thread, while more are added.

        Raises:
            ValueError: if no frame has been added.
        """
        return self._gathered(self._stitcher.so_far(count), count)

    def finish(self) -> Gathered:
        """All frames, with converged phases; no frame can be added afterwards.

        Raises:
            ResultError: if no frame had a usable patch.
        """
        sums = self._stitcher.finish()
        return self._gathered(sums, len(sums.used))

    def _gathered(self, sums: LaidSums, count: int) -> Gathered:
        positions_m = np.concatenate(list(self._positions_m))[:count]
        return Gathered(
            self._setup,
            self._package,
            sums,
            self._amplitude.of_first(count),
            self._sample.of_first(count),
            positions_m,
            self._package.probe,
            self.faults,
        )

    def _pixels(self, positions_m: NDArray[np.float64]) -> NDArray[np.float64]:
        return positions_px(positions_m, self._setup.object_pixel_size_m)
