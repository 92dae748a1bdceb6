"""Frames to patches, one at a time, as one of several machines does that share a scan."""

from typing import Any

from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.live.patch import Maker, Patch
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.scan.preparation import Preparation


class PatchMaker:
    """Takes each frame through the first two steps: preparation and network.

    Args:
        setup: of the detector.
    """

    def __init__(self, setup: SharedSetup) -> None:
        opened = setup.ready.opened
        scan = setup.framed.scan
        self.window_px = opened.package.manifest.window_px
        self._framed = setup.framed
        self._run = opened.graph.run
        self._preparation = Preparation(scan.mask, scan.frame_px // self.window_px)
        self._maker = Maker(setup.fingerprint, opened.precision, opened.provider)

    def patch(self, counts: NDArray[Any]) -> Patch:
        """The patch of a frame (H, W).

        Raises:
            ScanError: if the frame is of another shape than the recorded ones.
            ProviderError: if the graph's provider fails.
        """
        expected = self._framed.window.detector_shape
        if counts.shape != expected:
            (rows, columns), (height, width) = counts.shape, expected
            raise ScanError(
                f"a frame is {rows} × {columns}, those of the recorded scan {height} × {width}"
            )
        prepared = self._preparation.prepare(self._framed.cropped(counts[None]))
        return Patch(prepared, self._run(prepared.counts), self._maker)
