"""Frames of a scan without labels: those that a network is trained on, and those held out.

Split by region, as labelled frames are: the last fifth of the scan along its longer side is held
out, and a gap of a network window before it is left unused, so that no patch of one part shows what
a patch of the other does. All frames are held in memory, binned as the network takes them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import ScanError, TrainingError
from wnet_edge.host.memory import check_memory
from wnet_edge.io.parts.complete_scan import LARGEST_BAD_SHARE
from wnet_edge.judging.frame_fit import ImageModel, frame_fit
from wnet_edge.judging.yardstick import ScanPart, scan_part, stitched_patches
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.scan.preparation import usable_frames
from wnet_edge.scan.scan import Scan
from wnet_edge.training.live_image import LEAST_POWER, patches_of

_HELD_OUT_SHARE = 0.2
_FEWEST_COMPARED, _MOST_COMPARED = 8, 200
_BYTES_PER_PIXEL = 40
"""Counts, roots, mask, and patches three times, of a pixel of the network's window."""


@dataclass(frozen=True, eq=False)
class UnlabelledFrames:
    """The two parts of a scan.

    Attributes:
        scan: whose frames they are.
        instrument: of the network.
        training: frames to train on.
        held_out: frames to judge by.
        warnings: about the scan and its frames, one line each.
    """

    scan: Scan
    instrument: Instrument
    training: ScanPart
    held_out: ScanPart
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, scan: Scan, instrument: Instrument) -> "UnlabelledFrames":
        """Read all frames of a scan that fits the instrument.

        Raises:
            ScanError: if too many frames are bad, or the scan is too small to hold out a part.
            TrainingError: if its frames do not fit into memory.
        """
        check_memory(
            scan.frame_count * instrument.window_px**2 * _BYTES_PER_PIXEL,
            f"{scan.path}: {scan.frame_count} frames",
            "take fewer with --frames-range",
            TrainingError,
        )
        found = usable_frames(scan, LARGEST_BAD_SHARE)
        training, held_out = _split(scan, found.usable, instrument.window_px)
        return cls(
            scan,
            instrument,
            scan_part(scan, training, instrument, "training part"),
            scan_part(scan, held_out, instrument, "held-out part"),
            (*scan.notes, *found.warnings),
        )

    def held_out_fit(self, network: CountsNetwork, device: torch.device) -> tuple[float, int]:
        """R-factor of held-out frames in the image of them alone, and how many are compared.

        Raises:
            ScanError: if that image covers the probe of too few.
        """
        part, scan = self.held_out, self.scan
        image = stitched_patches(part, patches_of(network, part.counts, device))
        positions_m = scan.positions_m[part.numbers]
        probe = self.instrument.probe
        model = ImageModel.of(scan.setup, positions_m, probe, self.instrument, image)
        covered = [n for n in range(len(positions_m)) if model.covers(n, LEAST_POWER)]
        chosen = np.linspace(0, len(covered) - 1, min(len(covered), _MOST_COMPARED)).astype(int)
        fit = frame_fit(model, {covered[n]: part.counts[covered[n], 0] for n in chosen})
        if fit is None or len(chosen) < _FEWEST_COMPARED:
            raise ScanError(
                f"{scan.path}: the image of its {len(positions_m)} held-out frames covers the "
                f"probe of {len(chosen)}, and {_FEWEST_COMPARED} are needed; take a larger scan"
            )
        return fit.r_factor, fit.frames


def _split(
    scan: Scan, usable: NDArray[np.bool_], gap_px: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frame numbers for training and those held out, usable ones only."""
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    extent = np.ptp(positions[usable], axis=0)
    along = positions[:, int(np.argmax(extent))]
    border = along[usable].max() - _HELD_OUT_SHARE * extent.max()
    training = np.flatnonzero(usable & (along < border - gap_px))
    if not len(training):
        raise ScanError(
            f"{scan.path}: {extent[0]:.0f} × {extent[1]:.0f} px are too few to hold a fifth out "
            f"behind a gap of {gap_px} px; take a larger scan"
        )
    return training, np.flatnonzero(usable & (along >= border))
