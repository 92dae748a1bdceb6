"""Held-out frames of a scan for export: calibration, selection and report strips.

Three strips of one scan, a window apart, none of whose frames was trained on. The first gives the
calibration and golden frames; candidates are compared on the second; the figures in the package are
measured on the third. Strips of a small scan are closer; FP32 alone, for which nothing is chosen,
needs none.
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
from wnet_edge.calibration.split import Region, RegionSplit, split_by_region
from wnet_edge.comparing.patch_errors import illuminated_px
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
from wnet_edge.scan.scan import Scan

GOLDEN_FRAMES = 4

SIMULATE_INSTEAD = (
    "name a larger scan of the same instrument with --calibration, or have frames simulated for "
    "it: --calibration-source simulated without --calibration"
)
"""Cure for a scan that can't calibrate."""

_OWN = " of a scan simulated for this instrument"


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


def held_out(material: Material, instrument: Instrument, *, choosing: bool = True) -> HeldOut:
    """Split a scan into strips and choose the calibration frames.

    Args:
        material: scan of the network's instrument, and its reconstruction if there is one.
        instrument: instrument of the network.
        choosing: whether anything is chosen by these frames; if not, those of a scan without room
            for strips that share nothing may all be reported.

    Raises:
        PackageError: if the scan's object pixel is not that of the instrument.
        ScanError: if its frames can't be binned to the network's window, they are too few to be
            split, or the reconstruction covers none.
        CalibrationError: if the frames are of another kind than declared.
        ResultError: if the reconstruction does not explain the frames.
    """
    scan = material.scan
    remaining_binning(scan, instrument)
    lit_px = illuminated_px(instrument.intensity)
    split = _split(scan, instrument, lit_px, choosing=choosing)
    parts = _parts(scan, split, instrument)
    strip = parts[Region.CALIBRATION]
    if not material.own:
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
        split=_described(split, instrument, lit_px) + (_OWN if material.own else ""),
        frames=len(counts),
        sha256=frames_sha256(counts),
        source=material.source,
    )
    warnings = tuple(f"{scan.path}: {note}" for note in scan.notes)
    if split is not None and split.gap_px < lit_px:
        warnings += (
            f"{scan.path}: too small for strips that share no object pixel: the figures hold for "
            "frames that neither trained nor calibrated, but candidates were chosen on object "
            "pixels that the report strip shares; a larger scan, or frames simulated for this "
            "instrument (--calibration-source simulated), would share none",
        )
    if choosing and len(counts) < FEWEST_COUNT:
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


def _split(
    scan: Scan, instrument: Instrument, lit_px: int, *, choosing: bool
) -> RegionSplit | None:
    """Strips of a scan; None for all frames at once."""
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    try:
        split = split_by_region(positions, instrument.window_px, lit_px)
    except ScanError as error:
        if not choosing:
            return None
        raise ScanError(f"{scan.path}: {error}; {SIMULATE_INSTEAD}") from error
    return split if choosing or split.gap_px >= lit_px else None


def _parts(scan: Scan, split: RegionSplit | None, instrument: Instrument) -> dict[Region, ScanPart]:
    """Prepared frames of every strip, or of the whole scan for each."""
    if split is None:
        whole = scan_part(scan, np.arange(scan.frame_count), instrument, "frames")
        return dict.fromkeys(Region, whole)
    return {
        region: scan_part(scan, split.frames(region), instrument, f"{region.value} strip")
        for region in Region
    }


def _described(split: RegionSplit | None, instrument: Instrument, lit_px: int) -> str:
    """The calibration frames' part of their scan, for the manifest."""
    if split is None:
        return "whole scan"
    strip = f"{Region.CALIBRATION.value} strip"
    if split.gap_px >= instrument.window_px:
        return strip
    if split.gap_px >= lit_px:
        return f"{strip} ({split.gap_px:g} px apart, no illuminated object pixel shared)"
    return (
        f"{strip} ({split.gap_px:g} px apart, candidates chosen on object pixels that the report "
        "strip shares)"
    )


def measured(strip: Strip, graph: bytes) -> MeasuredStrip:
    """Run FP32 on a strip; ground truth is the reconstruction if there is one, else FP32's output.

    Args:
        strip: strip of a scan.
        graph: FP32 ONNX bytes.
    """
    part = strip.part if strip.labelled is None else strip.labelled.part
    patches = patches_on_processor(graph, part.counts)
    yardstick = strip.labelled or against_fp32(part, patches)
    return MeasuredStrip(yardstick, patches, yardstick.accuracy(patches))


def _strip(part: ScanPart, material: Material) -> Strip:
    placed = material.reference
    return Strip(part, None if placed is None else against_reference(part, material.scan, placed))
