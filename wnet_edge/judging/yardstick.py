"""Accuracy of a graph's patches on a measured scan, single-shot and stitched to an image.

Used by `export`, which limits the loss of every precision, and by `wnet-edge evaluate`. The ground
truth is a reconstruction of the same scan or, where there is none, the output of the FP32 graph.
"""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import Comparison, ObjectImage, compare
from wnet_edge.comparing.metrics import whole_windows
from wnet_edge.comparing.patch_errors import (
    PatchErrors,
    illuminated,
    patch_errors,
    phase_aligned,
)
from wnet_edge.errors import OverlapError, ScanError
from wnet_edge.io.images.placed_image import PlacedImage
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.package.golden import PatchArrays
from wnet_edge.physics.geometry import central_window_start_px, positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.preparation import prepare_frames
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.laid_sums import Stitched
from wnet_edge.stitching.stitcher import Stitcher

SINGLE_MEASURES = ("phase_psnr_db", "phase_ssim", "amplitude_psnr_db", "amplitude_ssim")
STITCHED_MEASURES = (*SINGLE_MEASURES, "phase_correlation", "amplitude_correlation")
"""Attributes of `Comparison` that are reported; `SINGLE_MEASURES` are those of `PatchErrors`."""


class Judge(str, Enum):
    """Origin of the ground truth."""

    REFERENCE = "reference"
    FP32 = "fp32"


@dataclass(frozen=True)
class ScanPart:
    """Prepared frames of a part of a scan, with everything that stitching needs.

    Attributes:
        name: names of the scan's file and of the part.
        numbers: (N,) int64, frame numbers in the scan.
        counts: (N, 1, n, n) float32, the network's input; masked pixels negative.
        positions_px: (N, 2) float64 row, column of each full window's top-left pixel.
        instrument: instrument of the network, with the scan's full window.
        pixel_size_m: object pixel size.
    """

    name: str
    numbers: NDArray[np.int64]
    counts: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    instrument: Instrument
    pixel_size_m: float

    @property
    def scale(self) -> NDArray[np.float32]:
        """(N,) float32, amplitude of each patch relative to that of the median frame."""
        totals = np.maximum(self.counts, 0).sum(axis=(1, 2, 3), dtype=np.float64)
        scale: NDArray[np.float32] = np.sqrt(totals / np.median(totals)).astype(np.float32)
        return scale

    def only(self, kept: NDArray[np.bool_]) -> "ScanPart":
        """The part restricted to frames where `kept` (N,) is True."""
        return replace(
            self,
            numbers=self.numbers[kept],
            counts=self.counts[kept],
            positions_px=self.positions_px[kept],
        )


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of patches against the ground truth: single-shot and stitched.

    `stitched` is None where the image is too small to be compared.
    """

    single: PatchErrors
    stitched: Comparison | None

    def measures(self) -> dict[str, float]:
        """Reported measures by name, such as `single_phase_ssim`; NaN for those undefined."""
        single = {f"single_{name}": float(getattr(self.single, name)) for name in SINGLE_MEASURES}
        return single | {
            f"stitched_{name}": float(getattr(self.stitched, name, np.nan))
            for name in STITCHED_MEASURES
        }


@dataclass(frozen=True)
class Loss:
    """Largest loss of accuracy relative to FP32, over phase and amplitude.

    With a reference, over single patches and the stitched image. Without one the loss is relative
    to FP32's own output, and only the stitched image counts: without a reference, single-patch
    rounding errors are not masked by model error; stitching averages them out. Where the image is
    too small to be compared, single patches are all there is.

    Attributes:
        ssim: loss of SSIM.
        psnr_db: loss of PSNR; None without a reference, since FP32's own PSNR is infinite.
    """

    ssim: float
    psnr_db: float | None


@dataclass(frozen=True)
class Yardstick:
    """Frames with ground truth for their patches and for the stitched image.

    Attributes:
        part: the frames.
        judge: origin of the ground truth.
        labels: ground-truth patches of the frames.
        image: ground truth for the stitched image.
    """

    part: ScanPart
    judge: Judge
    labels: PatchLabels
    image: ObjectImage

    def accuracy(self, patches: PatchArrays) -> Accuracy:
        """Accuracy of patches (N, 1, n, n) of the part's frames."""
        instrument = self.part.instrument
        amplitude, phase_rad = (values[:, 0] for values in patches)
        mask = illuminated(instrument.intensity)
        errors = patch_errors(amplitude, phase_rad, self.labels, instrument.weight, mask)
        try:
            image = compare(stitched(self.part, patches), self.image)
        except OverlapError:
            image = None
        return Accuracy(errors, image)


def scan_part(
    scan: Scan, numbers: NDArray[np.int64], instrument: Instrument, name: str
) -> ScanPart:
    """Read and prepare frames `numbers` of a scan, leaving out those that can't be used.

    Args:
        scan: scan that is compatible with the instrument.
        numbers: (K,) frame numbers, ascending.
        instrument: of the package or network; its probe is padded or cropped to the scan's window.
        name: name of the part, for messages.

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
    """Ground truth from a reconstruction; frames that it does not cover are left out.

    Raises:
        ScanError: if no frame is left.
        ResultError: if the reconstruction does not explain the frames.
    """
    instrument = part.instrument
    labels = CutLabels(placed, replace(scan, probe=instrument.probe), instrument.window_px)
    part = part.only(labels.usable[part.numbers])
    if not len(part.numbers):
        raise ScanError(f"{part.name}: no frame lies whole on {placed.image.name}")
    return Yardstick(part, Judge.REFERENCE, labels.read(part.numbers), placed.image)


def against_fp32(part: ScanPart, patches: PatchArrays) -> Yardstick:
    """Ground truth from FP32's patches (N, 1, n, n) of the part's frames."""
    known = PatchLabels(*(values[:, 0] for values in patches))
    return Yardstick(part, Judge.FP32, known, stitched(part, patches))


def stitched(part: ScanPart, patches: PatchArrays) -> ObjectImage:
    """Image of patches (N, 1, n, n) of a part's frames; amplitude relative to the median frame.

    Under a focus so tight that no window of SSIM fits into it, only pixels that it illuminated
    count as covered: in the rest of the network's window no photon decides the image.
    """
    made = stitched_patches(part, patches)
    coverage, lit = made.coverage, illuminated(part.instrument.intensity)
    if not whole_windows(lit).any():
        coverage = np.where(_swept(lit, part, made), coverage, 0)
    return ObjectImage(part.name, made.image, coverage, part.pixel_size_m)


def _swept(lit: NDArray[np.bool_], part: ScanPart, made: Stitched) -> NDArray[np.bool_]:
    """Image pixels (H, W) that are in the illuminated pixels `lit` (n, n) of any frame."""
    swept = np.zeros(made.coverage.shape, dtype=bool)
    start = central_window_start_px(part.instrument.frame_px, len(lit))
    corners = np.floor(np.round(part.positions_px + start, 6)).astype(np.int64) - made.origin_px
    for row, column in corners[made.used]:
        swept[row : row + len(lit), column : column + len(lit)] |= lit
    return swept


def stitched_patches(part: ScanPart, patches: PatchArrays) -> Stitched:
    """As `stitched`, with the phase offsets of the patches and their place on the object."""
    amplitude, phase_rad = (values[:, 0] for values in patches)
    seen, places = part.instrument, part.positions_px
    with Stitcher(seen.frame_px, seen.window_px, seen.weight, expected_px=places) as stitcher:
        stitcher.add(places, amplitude, phase_rad, part.scale)
        return stitcher.finish().stitched()


def loss(fp32: Accuracy, other: Accuracy, judge: Judge) -> Loss:
    """Loss of accuracy of `other` relative to `fp32`, both against the same ground truth."""
    before, after = fp32.measures(), other.measures()
    # Equal values may both be infinite.
    drops = {
        name: 0.0 if before[name] == after[name] else before[name] - after[name] for name in before
    }
    if fp32.stitched is None or other.stitched is None:
        drops = {name: drop for name, drop in drops.items() if name.startswith("single_")}
    elif judge is Judge.FP32:
        drops = {name: drop for name, drop in drops.items() if name.startswith("stitched_")}
    psnr_db = None if judge is Judge.FP32 else _largest(drops, "_psnr_db")
    return Loss(_largest(drops, "_ssim"), psnr_db)


def _largest(drops: dict[str, float], end: str) -> float:
    """Largest drop of the measures named …END; NaN if any is NaN."""
    return float(np.max([drop for name, drop in drops.items() if name.endswith(end)]))


def phase_rms_rad(part: ScanPart, patches: PatchArrays, fp32: PatchArrays) -> float:
    """Illumination-weighted RMS phase difference from FP32 after alignment per frame, rad."""
    amplitude, phase_rad = (values[:, 0] for values in patches)
    known = PatchLabels(*(values[:, 0] for values in fp32))
    weight = part.instrument.weight
    difference = phase_aligned(amplitude, phase_rad, known, weight) - known.phase_rad
    return float(np.sqrt(np.mean(weight * difference**2, dtype=np.float64)))
