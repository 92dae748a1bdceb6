"""From detector frames to patches that lie on an image: all that `infer` does frame by frame.

frames → bin, mask → counts → graph → patches → placed on the image, to be timed as a whole.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.opening import Package
from wnet_edge.physics.forward import far_field
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.scan.preparation import Preparation

_SCAN_FRAMES = 1024
"""Frames of the raster, after which another one begins: bounds the stitcher's temporary file."""

_STEPS_A_WINDOW = 16
_DEAD_SHARE = 1e-3


class EndToEnd:
    """Batches of frames to patches on an image, again and again, along a raster.

    Reading the scan's file is not in it, nor is the last step of stitching (`Assembler.finish`),
    which works on the scan as a whole and not on frames. A context manager: what the stitcher keeps
    on the disk goes when the block ends.

    Args:
        package: of the graph.
        run: the graph.
        batch_size: frames at a time.

    Raises:
        PackageError: if the package's probe is dark in the network's window.
    """

    def __init__(self, package: Package, run: RunFrames, batch_size: int) -> None:
        self._package, self._run = package, run
        manifest = package.manifest
        self.frames, mask = detector_frames(package, batch_size)
        pixel_m = manifest.object_pixel_size_m
        self._setup = FrameSetup(package.path, mask, manifest.frame_px, pixel_m, package.probe)
        frames = max(_SCAN_FRAMES // batch_size, 1) * batch_size
        self._positions_m = pixel_m * raster_px(frames, manifest.frame_px / _STEPS_A_WINDOW)
        self._laid = frames
        self._assembler: Assembler | None = None

    def __enter__(self) -> "EndToEnd":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def counts(self) -> NDArray[np.float32]:
        """The same frames as the graph takes them, (B, 1, H, W) float32."""
        return (
            Preparation(self._setup.mask, self._package.manifest.binning)
            .prepare(self.frames)
            .counts
        )

    def make_room(self) -> None:
        """See that the raster has room for one more batch: another one where it is full."""
        if self._laid < len(self._positions_m):
            return
        self._close()
        self._assembler = Assembler(self._setup, self._package, self._run, self._positions_m)
        self._laid = 0

    def run(self) -> None:
        """One batch, after `make_room`.

        Raises:
            ProviderError: if the graph's provider fails.
        """
        if self._assembler is None:
            raise ValueError("make_room comes first")
        part = slice(self._laid, self._laid + len(self.frames))
        self._assembler.add(self.frames, self._positions_m[part])
        self._laid = part.stop

    def _close(self) -> None:
        if self._assembler is not None:
            self._assembler.close()


def detector_frames(package: Package, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Frames (count, n, n) float32 of the package's probe alone, and a mask (n, n) of dead pixels.

    Counts are Poisson's, in the package's full window; one pixel in a thousand is dead.
    """
    random = np.random.default_rng(0)
    expected = probe_intensity(far_field(package.probe))
    frames = random.poisson(expected, (count, *expected.shape)).astype(np.float32)
    mask = random.random(expected.shape) < _DEAD_SHARE
    frames[:, mask] = 0
    return frames, mask


def raster_px(count: int, step_px: float) -> NDArray[np.float64]:
    """(count, 2) row, column of a square raster, every place off by up to a pixel."""
    grid = np.stack(np.divmod(np.arange(count), int(np.ceil(np.sqrt(count)))), axis=1)
    return step_px * grid + np.random.default_rng(0).random((count, 2))
