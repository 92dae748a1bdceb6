"""What a scan gives an export: frames to calibrate on, frames to choose by, frames to report on.

Three strips of one scan, a window apart, none of whose frames trained the network. Calibration's
frames and the golden ones come from the first; choices are judged on the second; what is written
into the package is measured on the third.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.calibration.frames import (
    FEWEST_COUNT,
    LARGEST_COUNT,
    check_source,
    choose_frames,
    frames_sha256,
)
from wnet_edge.calibration.ranges import BATCH_SIZE
from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.errors import ScanError
from wnet_edge.export.options import Material
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.framing.compatibility import remaining_binning
from wnet_edge.judging.yardstick import (
    Accuracy,
    Loss,
    ScanPart,
    Yardstick,
    against_fp32,
    against_reference,
    loss,
    scan_part,
)
from wnet_edge.package.golden import Patches
from wnet_edge.package.manifest import Calibration
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument

GOLDEN_FRAMES = 4


@dataclass(frozen=True)
class Strip:
    """Frames of a scan, and what a reconstruction says of them.

    Attributes:
        part: the frames.
        labelled: those that the reconstruction covers, with their labels; None without one.
    """

    part: ScanPart
    labelled: Yardstick | None


@dataclass(frozen=True)
class HeldOut:
    """The three strips of a scan.

    Attributes:
        counts: (N, 1, H, W) float32 that calibrate; N a multiple of calibration's batch.
        calibration: their fingerprint, for the manifest.
        selection: the strip that chooses.
        report: the strip that reports.
        warnings: what the user should know of them.
    """

    counts: NDArray[np.float32]
    calibration: Calibration
    selection: Strip
    report: Strip
    warnings: tuple[str, ...]

    @property
    def golden(self) -> NDArray[np.float32]:
        """Some of the calibration frames, (n, 1, H, W)."""
        spread = np.linspace(0, len(self.counts) - 1, GOLDEN_FRAMES)
        return self.counts[np.unique(spread.astype(np.int64))]


@dataclass(frozen=True)
class MeasuredStrip:
    """A strip with its yardstick, and what FP32 gives of it.

    Attributes:
        yardstick: of the strip.
        fp32: patches.
        accuracy: of those.
    """

    yardstick: Yardstick
    fp32: Patches
    accuracy: Accuracy

    def loss(self, patches: Patches) -> Loss:
        """What other patches of the strip, (N, 1, n, n), have lost of FP32's accuracy."""
        return loss(self.accuracy, self.yardstick.accuracy(patches), self.yardstick.judge)


def held_out(material: Material, instrument: Instrument) -> HeldOut:
    """Split a scan and choose the frames that calibrate.

    Args:
        material: the scan, of the network's instrument, and its reconstruction.
        instrument: the network's.

    Raises:
        PackageError: if the scan's object pixel is not the instrument's.
        ScanError: if its frames can't be binned to the network's window, it is too small to be
            split, or no frame lies on the reconstruction.
        CalibrationError: if the frames are of another kind than they are said to be.
        ResultError: if the reconstruction does not explain the frames.
    """
    scan = material.scan
    remaining_binning(scan, instrument)
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    try:
        split = split_by_region(positions, instrument.window_px)
    except ScanError as error:
        raise ScanError(f"{scan.path}: {error}") from error
    parts = {
        region: scan_part(scan, split.frames(region), instrument, f"{region.value} strip")
        for region in Region
    }
    strip = parts[Region.CALIBRATION]
    check_source(
        strip.counts,
        instrument.probe,
        simulated=material.simulated,
        declared=material.source,
        name=str(scan.path),
    )
    most = min(LARGEST_COUNT, len(strip.counts))
    # Whole batches: the calibrators take no other.
    most = most // BATCH_SIZE * BATCH_SIZE or most
    counts = strip.counts[choose_frames(strip.counts, strip.positions_px, most)]
    calibration = Calibration(
        split=f"{Region.CALIBRATION.value} strip",
        frames=len(counts),
        sha256=frames_sha256(counts),
        source=material.source,
    )
    warnings = tuple(f"{scan.path}: {note}" for note in scan.notes)
    if len(counts) < FEWEST_COUNT:
        warnings += (
            f"{scan.path}: only {len(counts)} frames calibrate; with {FEWEST_COUNT} and more, a "
            "longer scan, INT8 would hang less on chance",
        )
    return HeldOut(
        counts,
        calibration,
        selection=_strip(parts[Region.SELECTION], material),
        report=_strip(parts[Region.REPORT], material),
        warnings=warnings,
    )


def measured(strip: Strip, graph: bytes) -> MeasuredStrip:
    """What a strip is judged by: a reconstruction if there is one, else FP32's own patches.

    Args:
        strip: of a scan.
        graph: FP32.

    Raises:
        ScanError: if too little is lit to be judged.
    """
    part = strip.part if strip.labelled is None else strip.labelled.part
    patches = patches_on_processor(graph, part.counts)
    yardstick = strip.labelled or against_fp32(part, patches)
    accuracy = yardstick.accuracy(patches)
    if not all(np.isfinite(v) for name, v in accuracy.measures().items() if "ssim" in name):
        raise ScanError(
            f"{part.name}: the beam lights too little of the network's window, or the frames are "
            "too few, for a structural similarity; give a larger scan, or train for a wider window"
        )
    return MeasuredStrip(yardstick, patches, accuracy)


def _strip(part: ScanPart, material: Material) -> Strip:
    placed = material.reference
    return Strip(part, None if placed is None else against_reference(part, material.scan, placed))
