"""What the host does for a frame beside the network: bin and mask, stitch, write.

    python -m benchmarks.host_share [FRAMES]

Frames and patches of a raster of the embedded package's probe go through the steps of `infer`, but
for the network: patches are cut from the known object, each with its global phase lost and an error
of its own, with which the stitcher makes four rounds, as it does with the network's for a scan of
this length. The thread's own time is counted, not the clock's: on a busy machine the others' share
stays out.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from wnet_edge.embedded import find_package
from wnet_edge.io.images.result_file import Provenance, Result, write_result
from wnet_edge.package.opening import Package, open_package
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan
from wnet_edge.pictures.object_picture import PictureOptions, write_picture
from wnet_edge.runner.image.self_check import FrameSample
from wnet_edge.scan.preparation import Preparation
from wnet_edge.stitching.laid_sums import Stitched
from wnet_edge.stitching.stitcher import Stitcher

_Array = NDArray[np.float32]

BATCH = 32
FRAME_POOL = 256  # 16 MiB: no frame is still in the processor's cache as it comes again
ERROR_POOL = 64
ERROR_RAD = 0.3
"""Standard deviation of a patch's phase error, smooth over an eighth of the window."""


@dataclass(frozen=True)
class HostShare:
    """Milliseconds a frame of one thread; a scan's start is left out.

    Attributes:
        prepare_ms: binning, masking, keeping frames for the self-check.
        stitch_ms: placing, and solving for phases.
        write_ms: result file and picture.
        total_ms: all of them.
        stitch_rounds: of the solver.
    """

    prepare_ms: float
    stitch_ms: float
    write_ms: float
    total_ms: float
    stitch_rounds: int


def host_share_ms_per_frame(frames: int) -> HostShare:
    """Simulate a scan of so many frames of 128 × 128 counts, and time all but the network."""
    package = open_package(find_package("w3"))
    simulated = _Simulated(package, frames)
    seconds = dict.fromkeys(("prepare", "stitch", "write"), 0.0)
    preparation = Preparation(simulated.mask, simulated.binning)
    sample = FrameSample(frames)
    with (
        TemporaryDirectory() as folder,
        Stitcher(
            package.manifest.frame_px,
            package.manifest.window_px,
            package.instrument.weight,
            expected_px=simulated.positions_px,
        ) as stitcher,
    ):
        for first, raw, amplitude, phase_rad in simulated.batches():
            began = time.thread_time()
            batch = preparation.prepare(raw)
            sample.add(first, batch.counts)
            prepared = time.thread_time()
            scale = np.sqrt(batch.totals / simulated.photons).astype(np.float32)
            stitcher.add(
                simulated.positions_px[first : first + len(raw)], amplitude, phase_rad, scale
            )
            seconds["prepare"] += prepared - began
            seconds["stitch"] += time.thread_time() - prepared
        began = time.thread_time()
        stitched = stitcher.finish().stitched()
        finished = time.thread_time()
        _write(stitched, Path(folder))
        seconds["stitch"] += finished - began
        seconds["write"] += time.thread_time() - finished
    each = {f"{step}_ms": 1000 * taken / frames for step, taken in seconds.items()}
    return HostShare(**each, total_ms=sum(each.values()), stitch_rounds=stitched.rounds)


class _Simulated:
    """A raster with steps of 5 pixels and their fractions, over a mosaic of all families.

    Attributes:
        positions_px: (N, 2) float64.
        mask: (n, n) bool: the detector has some dead pixels.
        binning: detector pixels along an edge of one of the graph's.
        photons: of an empty frame.
    """

    photons = 1e7

    def __init__(self, package: Package, frames: int) -> None:
        manifest = package.manifest
        self.binning = manifest.frame_px // manifest.window_px
        self._window_px = manifest.window_px
        detector = Detector((self.photons, self.photons), dead_fraction=1e-3)
        options = ScanOptions(frames=frames, step_px=5, detector=detector, seed=1)
        self._scan = VirtualScan(package.probe, options)
        self.mask = self._scan.mask
        self._rng = np.random.default_rng(2)
        self.positions_px = self._scan.positions_px + self._rng.uniform(0, 1, (frames, 2))
        pool = next(self._scan.batches(min(FRAME_POOL, frames)))
        self._pool = pool.frames.astype(np.float32)
        self._errors_rad = self._smooth_errors()

    def batches(self) -> Iterator[tuple[int, _Array, _Array, _Array]]:
        """First frame, then frames (B, n, n), amplitude and phase in rad, both (B, h, w)."""
        count, size = len(self.positions_px), self._window_px
        start = (self._pool.shape[-1] - size) // 2
        for first in range(0, count, BATCH):
            numbers = np.arange(first, min(first + BATCH, count))
            corners = self._scan.positions_px[numbers] + start
            patches = np.stack([self._scan.object[r : r + size, c : c + size] for r, c in corners])
            lost = self._rng.uniform(-np.pi, np.pi, (len(numbers), 1, 1))
            error = self._errors_rad[self._rng.integers(ERROR_POOL, size=len(numbers))]
            phase_rad = (np.angle(patches) + lost + error).astype(np.float32)
            yield first, self._pool[numbers % len(self._pool)], np.abs(patches), phase_rad

    def _smooth_errors(self) -> NDArray[np.float32]:
        """(ERROR_POOL, h, w) rad, white noise without its high frequencies."""
        size = self._window_px
        wave = np.fft.rfft2(self._rng.normal(size=(ERROR_POOL, size, size)))
        far = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)) > 4 / size
        wave[:, far] = 0
        smooth = np.fft.irfft2(wave, (size, size))
        return (ERROR_RAD * smooth / smooth.std()).astype(np.float32)


def _write(stitched: Stitched, folder: Path) -> None:
    """Result file and picture, as `infer` does."""
    result = Result.of_image(
        stitched.image,
        stitched.coverage,
        stitched.window_offset_px,
        stitched.origin_px,
        1e-8,
        Provenance(),
    )
    write_result(folder / "result.h5", result)
    write_picture(
        folder / "result.png",
        result.phase,
        result.amplitude,
        result.coverage,
        result.pixel_size_m,
        PictureOptions(title="host share"),
    )


if __name__ == "__main__":
    share = host_share_ms_per_frame(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    for field in fields(share):
        print(f"{field.name} {getattr(share, field.name):.3g}")  # noqa: T201
