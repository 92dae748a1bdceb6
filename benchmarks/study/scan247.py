"""The real scan of the study, its reference, and the labels that the reference gives its frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.plan import EXAMPLE, REFERENCE, WINDOW_PX
from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.probe_file import find_probe, instrument_of
from wnet_edge.io.scan_file import open_scan
from wnet_edge.physics.gauge import labels
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.preparation import prepare_frames


@dataclass(frozen=True)
class Scan247:
    """The embedded scan, as arrays.

    Attributes:
        counts: (N, 1, 64, 64) float32, masked pixels negative.
        positions_px: (N, 2) float64 row, column of the top-left pixel of each full window.
        instrument: the scan's own probe and geometry.
        reference: the iterative reconstruction, with its coverage.
        corners_px: (N, 2) int64, where in the reference each full window begins.
        report: frames of the strip that no choice has looked at.
    """

    counts: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    instrument: Instrument
    reference: ObjectImage
    corners_px: NDArray[np.int64]
    report: NDArray[np.int64]

    def labels(self, frames: NDArray[np.int64]) -> PatchLabels:
        """Amplitude and phase_rad of frames, (n, 64, 64) float32 each, cut from the reference."""
        full_px = self.instrument.probe.shape[-1]
        patches = np.stack(
            [
                self.reference.image[row : row + full_px, column : column + full_px]
                for row, column in self.corners_px[frames].tolist()
            ]
        )
        return labels(patches, self.instrument.probe, WINDOW_PX)


def open_scan247() -> Scan247:
    """Read the scan and its reference."""
    scan = open_scan(EXAMPLE)
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    with np.load(REFERENCE, allow_pickle=False) as archive:
        corners = archive["window_top_left_px"].astype(np.int64)
    return Scan247(
        counts=prepare_frames(scan, np.arange(scan.frame_count), scan.binning_to(WINDOW_PX)).counts,
        positions_px=positions,
        instrument=instrument_of(find_probe(str(EXAMPLE)), WINDOW_PX),
        reference=read_object_image(REFERENCE),
        corners_px=corners,
        report=split_by_region(positions, WINDOW_PX).frames(Region.REPORT),
    )
