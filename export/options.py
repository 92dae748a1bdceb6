"""Options of an export, and the scan and reference for its measurements."""

from dataclasses import dataclass, field
from pathlib import Path

from wnet_edge.calibration.ranges import DEFAULT_METHODS, RangeMethod
from wnet_edge.errors import ExportError
from wnet_edge.export.budget import Budget
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.io.images.placed_image import PlacedImage
from wnet_edge.package.manifest import MAX_BATCH_SIZE, CalibrationSource, Precision
from wnet_edge.package.signature import PrivateKey
from wnet_edge.physics.orientation import Orientation
from wnet_edge.scan.scan import Scan

MAX_QAT_EPOCHS = 1000


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        opset: ONNX opset of the graphs.
        batch_size: fixed batch size; None for any.
        key: key to sign the package with; None for no signature.
        precisions: precisions to export.
        optional: those of them that are left out if they exceed the budget, instead of failing.
        budget: accuracy budget for each of them.
        calibrators: calibration methods to try for INT8.
        ranges: file that caches the calibration ranges; None for no cache.
        qat_epochs: of quantisation-aware training before INT8 graphs are made; 0 for none.
        ask_layers: measure accuracy loss and time saved of every layer in INT8; takes a while.
        allow_untrained: package a network that hardly explains its own instrument's scan.

    Raises:
        ExportError: if opset, batch size or epochs are out of range, no precision is given, or none
            that quantisation-aware training is for.
    """

    opset: int = OPSET
    batch_size: int | None = None
    key: PrivateKey | None = None
    precisions: tuple[Precision, ...] = (
        Precision.FP32,
        Precision.FP16,
        Precision.INT8,
        Precision.INT8_U8S8,
    )
    optional: tuple[Precision, ...] = ()
    budget: Budget = field(default_factory=Budget)
    calibrators: tuple[RangeMethod, ...] = DEFAULT_METHODS
    ranges: Path | None = None
    qat_epochs: int = 0
    ask_layers: bool = False
    allow_untrained: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.precisions or not self.calibrators:
            raise ExportError("a package holds at least one precision, found by a calibrator")
        if not OLDEST_OPSET <= self.opset <= NEWEST_OPSET:
            raise ExportError(
                f"opset {self.opset} can't be exported; choose from {OLDEST_OPSET} to "
                f"{NEWEST_OPSET}"
            )
        if self.batch_size is not None and not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise ExportError(
                f"a batch of {self.batch_size} can't be exported; choose from 1 to {MAX_BATCH_SIZE}"
            )
        if not 0 <= self.qat_epochs <= MAX_QAT_EPOCHS:
            raise ExportError(
                f"{self.qat_epochs} epochs of quantisation-aware training; choose from 0 to "
                f"{MAX_QAT_EPOCHS}"
            )
        if self.qat_epochs and not any(kind.quantised for kind in self.precisions):
            raise ExportError("--qat-epochs is for INT8; name an INT8 --precision, or none")


DEFAULT_PRECISIONS = ExportOptions.precisions


def chosen_options(
    *,
    precisions: tuple[Precision, ...] = (),
    calibrators: tuple[RangeMethod, ...] = (),
    max_ssim_drop: float | None = None,
    max_psnr_drop_db: float | None = None,
    opset: int | None = None,
    batch_size: int | None = None,
    key: PrivateKey | None = None,
    ranges: Path | None = None,
    qat_epochs: int = 0,
    allow_untrained: bool = False,
) -> ExportOptions:
    """What a user has chosen, empty or None for the default; fields as in `ExportOptions`.

    A precision that was not named may be left out if it exceeds the budget.

    Raises:
        ExportError: if the budget is no budget, or an option is out of range.
    """
    drops = {"max_ssim_drop": max_ssim_drop, "max_psnr_drop_db": max_psnr_drop_db}
    return ExportOptions(
        precisions=precisions or DEFAULT_PRECISIONS,
        optional=() if precisions else DEFAULT_PRECISIONS,
        calibrators=calibrators or DEFAULT_METHODS,
        budget=Budget(**{name: value for name, value in drops.items() if value is not None}),
        opset=OPSET if opset is None else opset,
        batch_size=batch_size,
        key=key,
        ranges=ranges,
        qat_epochs=qat_epochs,
        allow_untrained=allow_untrained,
    )


@dataclass(frozen=True)
class Material:
    """Scan and reference for calibration and measurements.

    Attributes:
        scan: scan of the network's instrument, none of whose frames was trained on.
        reference: reconstruction of the scan; None to compare with FP32's own patches.
        source: declared kind of the scan's frames.
        simulated: whether its file states that they are simulated.
        own: whether they were simulated for this very network's instrument.
        orientation: orientation applied to its frames, which becomes the package's.
    """

    scan: Scan
    reference: PlacedImage | None = None
    source: CalibrationSource = CalibrationSource.MEASURED
    simulated: bool = False
    own: bool = False
    orientation: Orientation = Orientation.IDENTITY
