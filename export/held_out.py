"""Held-out frames of a scan for export: calibration, selection and report strips.

Three strips of one scan, a window apart, none of whose frames was trained on. The first gives the
calibration and golden frames; candidates are compared on the second; the figures in the package are
measured on the third.
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
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Calibration
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument

GOLDEN_FRAMES = 4


@dataclass(frozen=True)
class Strip:
    """Frames of one strip of a scan, with ground truth from a reconstruction if there is one.

    Attributes:
        part: the frames.
        labelled: those covered by the reconstruction, with ground truth; None without one.
    """

    part: ScanPart
    labelled: Yardstick | None


@dataclass(frozen=True)
class HeldOut:
    """Calibration frames, selection strip and report strip of a scan.

    Attributes:
        counts: (N, 1, H, W) float32 calibration frames; N a multiple of calibration's batch size.
        calibration: their description for the manifest.
        selection: strip on which candidates are compared.
        report: strip for the reported figures.
        warnings: warnings for the user, one line each.
    """

    counts: NDArray[np.float32]
    calibration: Calibration
    selection: Strip
    report: Strip
    warnings: tuple[str, ...]

    @property
    def golden(self) -> NDArray[np.float32]:
        """Golden frames: some of the calibration frames, (n, 1, H, W) float32."""
        spread = np.linspace(0, len(self.counts) - 1, GOLDEN_FRAMES)
        return self.counts[np.unique(spread.astype(np.int64))]


@dataclass(frozen=True)
class MeasuredStrip:
    """A strip with ground truth, and FP32's patches and accuracy on it.

    Attributes:
        yardstick: frames with ground truth.
        fp32: FP32's patches of these frames.
        accuracy: accuracy of those patches.
    """

    yardstick: Yardstick
    fp32: PatchArrays
    accuracy: Accuracy

    def loss(self, patches: PatchArrays) -> Loss:
        """Loss of accuracy of other patches (N, 1, n, n) of the strip relative to FP32."""
        return loss(self.accuracy, self.yardstick.accuracy(patches), self.yardstick.judge)


def held_out(material: Material, instrument: Instrument) -> HeldOut:
    """Split a scan into strips and choose the calibration frames.

    Args:
        material: scan of the network's instrument, and its reconstruction if there is one.
        instrument: instrument of the network.

    Raises:
        PackageError: if the scan's object pixel is not that of the instrument.
        ScanError: if its frames can't be binned to the network's window, the scan is too small to
            be split, or the reconstruction covers no frame.
        CalibrationError: if the frames are of another kind than declared.
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
    # Whole batches only, as the calibrators require.
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
    """Run FP32 on a strip; ground truth is the reconstruction if there is one, else FP32's output.

    Args:
        strip: strip of a scan.
        graph: FP32 ONNX bytes.

    Raises:
        ScanError: if the illuminated area is too small.
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
