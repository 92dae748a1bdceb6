"""How good are a graph's patches of a measured scan? Frame by frame, and stitched to an image.

Beside the flow graph → patches → stitch → image, for whoever has to judge it: `export` holds every
precision to it, `wnet-edge evaluate` reports it. Patches are held against a reconstruction of the
same scan, or, where there is none, against what FP32 gives.
"""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import Comparison, ObjectImage, compare
from wnet_edge.comparing.patch_errors import (
    PatchErrors,
    illuminated,
    patch_errors,
    phase_aligned,
)
from wnet_edge.errors import ScanError
from wnet_edge.io.images.placed_image import PlacedImage
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.package.golden import Patches
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.preparation import prepare_frames
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.stitcher import Stitcher

SINGLE_MEASURES = ("phase_psnr_db", "phase_ssim", "amplitude_psnr_db", "amplitude_ssim")
STITCHED_MEASURES = (*SINGLE_MEASURES, "phase_correlation", "amplitude_correlation")
"""What is reported of `PatchErrors` and of `Comparison`."""


class Judge(str, Enum):
    """What patches are held against."""

    REFERENCE = "reference"
    FP32 = "fp32"


@dataclass(frozen=True)
class ScanPart:
    """Some frames of a scan as a network takes them, with all that stitching needs.

    Attributes:
        name: of the scan's file and the part.
        numbers: (N,) int64 of the frames in the scan.
        counts: (N, 1, n, n) float32, masked pixels negative.
        positions_px: (N, 2) float64, top-left pixel of each full window.
        instrument: of the network, on the scan's full window.
        pixel_size_m: of the object.
    """

    name: str
    numbers: NDArray[np.int64]
    counts: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    instrument: Instrument
    pixel_size_m: float

    def only(self, kept: NDArray[np.bool_]) -> "ScanPart":
        """The frames where `kept` (N,) is True."""
        return replace(
            self,
            numbers=self.numbers[kept],
            counts=self.counts[kept],
            positions_px=self.positions_px[kept],
        )


@dataclass(frozen=True)
class Accuracy:
    """How near patches come to what they are held against."""

    single: PatchErrors
    stitched: Comparison

    def measures(self) -> dict[str, float]:
        """By name, `single_phase_ssim` say."""
        single = {f"single_{name}": float(getattr(self.single, name)) for name in SINGLE_MEASURES}
        return single | {
            f"stitched_{name}": float(getattr(self.stitched, name)) for name in STITCHED_MEASURES
        }


@dataclass(frozen=True)
class Loss:
    """The most that is lost of what FP32 has, over phase and amplitude.

    Against a reference, of single patches and of the stitched image. Against FP32 itself, of the
    stitched image alone: no reference hides the rounding of a single patch, which stitching evens
    out.

    Attributes:
        ssim: drop of the structural similarity.
        psnr_db: drop of the peak signal-to-noise ratio; None against FP32, which has no finite one.
    """

    ssim: float
    psnr_db: float | None


@dataclass(frozen=True)
class Yardstick:
    """Frames, and what is known of their patches.

    Attributes:
        part: the frames.
        judge: where the labels are from.
        labels: of the frames.
        image: of the object.
    """

    part: ScanPart
    judge: Judge
    labels: PatchLabels
    image: ObjectImage

    def accuracy(self, patches: Patches) -> Accuracy:
        """Of patches (N, 1, n, n) of the part's frames.

        Raises:
            ResultError: if the stitched image and the yardstick's have too little in common.
        """
        instrument = self.part.instrument
        amplitude, phase_rad = (values[:, 0] for values in patches)
        mask = illuminated(instrument.intensity)
        errors = patch_errors(amplitude, phase_rad, self.labels, instrument.weight, mask)
        return Accuracy(errors, compare(stitched(self.part, patches), self.image))


def scan_part(
    scan: Scan, numbers: NDArray[np.int64], instrument: Instrument, name: str
) -> ScanPart:
    """Read frames `numbers` of a scan, less those that can't be used.

    Args:
        scan: of that instrument, its detector pixels finer or coarser.
        numbers: ascending.
        instrument: of the package or network.
        name: of the part, for messages.

    Raises:
        ScanError: if the frames can't be binned to the network's window, or none is left.
    """
    prepared = prepare_frames(scan, numbers, scan.binning_to(instrument.window_px))
    part = ScanPart(
        name=f"{scan.path.name}, {name}",
        numbers=numbers,
        counts=prepared.counts,
        positions_px=positions_px(scan.positions_m, scan.object_pixel_size_m)[numbers],
        instrument=instrument.on(scan.full_window_px),
        pixel_size_m=scan.object_pixel_size_m,
    ).only(prepared.usable)
    if not len(part.numbers):
        raise ScanError(f"{scan.path}: no frame of its {name} has counts; give another scan")
    return part


def against_reference(part: ScanPart, scan: Scan, placed: PlacedImage) -> Yardstick:
    """Labels cut from a reconstruction; frames that it does not cover are left out.

    Raises:
        ScanError: if none is left.
        ResultError: if the reconstruction does not explain the frames.
    """
    instrument = part.instrument
    labels = CutLabels(placed, replace(scan, probe=instrument.probe), instrument.window_px)
    part = part.only(labels.usable[part.numbers])
    if not len(part.numbers):
        raise ScanError(f"{part.name}: no frame lies whole on {placed.image.name}")
    return Yardstick(part, Judge.REFERENCE, labels.read(part.numbers), placed.image)


def against_fp32(part: ScanPart, patches: Patches) -> Yardstick:
    """What FP32 gives of the part's frames, (N, 1, n, n), as the truth."""
    known = PatchLabels(*(values[:, 0] for values in patches))
    return Yardstick(part, Judge.FP32, known, stitched(part, patches))


def stitched(part: ScanPart, patches: Patches) -> ObjectImage:
    """Patches (N, 1, n, n) of a part's frames in one image, amplitude relative to the median."""
    totals = np.maximum(part.counts, 0).sum(axis=(1, 2, 3), dtype=np.float64)
    scale = np.sqrt(totals / np.median(totals)).astype(np.float32)
    amplitude, phase_rad = (values[:, 0] for values in patches)
    seen, places = part.instrument, part.positions_px
    with Stitcher(seen.frame_px, seen.window_px, seen.weight, expected_px=places) as stitcher:
        stitcher.add(places, amplitude, phase_rad, scale)
        made = stitcher.finish()
    return ObjectImage(part.name, made.image, made.coverage, part.pixel_size_m)


def loss(fp32: Accuracy, other: Accuracy, judge: Judge) -> Loss:
    """What `other` has lost of `fp32`, both measured by one yardstick."""
    before, after = fp32.measures(), other.measures()
    # Equal ones may both be infinite.
    drops = {
        name: 0.0 if before[name] == after[name] else before[name] - after[name] for name in before
    }
    if judge is Judge.FP32:
        return Loss(_largest(drops, "stitched_", "_ssim"), None)
    return Loss(_largest(drops, "", "_ssim"), _largest(drops, "", "_psnr_db"))


def _largest(drops: dict[str, float], start: str, end: str) -> float:
    """NaN if any is."""
    chosen = [drop for name, drop in drops.items() if name.startswith(start) and name.endswith(end)]
    return float(np.max(chosen))


def phase_rms_rad(part: ScanPart, patches: Patches, fp32: Patches) -> float:
    """RMS of the phase's difference from FP32, weighted by the illumination, free of gauge."""
    amplitude, phase_rad = (values[:, 0] for values in patches)
    known = PatchLabels(*(values[:, 0] for values in fp32))
    weight = part.instrument.weight
    difference = phase_aligned(amplitude, phase_rad, known, weight) - known.phase_rad
    return float(np.sqrt(np.mean(weight * difference**2, dtype=np.float64)))
