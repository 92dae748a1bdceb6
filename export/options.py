"""What an export is asked for, and what it has to measure with."""

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


@dataclass(frozen=True)
class ExportOptions:
    """How a package is made.

    Attributes:
        opset: ONNX operator set of its graphs.
        batch_size: frames that every run of a graph takes; None for any number.
        key: to sign it with; None leaves it unsigned.
        precisions: to make.
        optional: those of them that are left out, instead of refused, where they miss the budget.
        budget: of accuracy that each of them has to keep to.
        calibrators: to try for INT8.
        ranges: file that keeps what they find; None keeps nothing.
        ask_layers: measure what every layer of an INT8 graph costs and saves; takes a while.
        allow_untrained: package a network that hardly explains its own instrument's scan.

    Raises:
        ExportError: if opset or batch size are out of range, or nothing is to be made.
    """

    opset: int = OPSET
    batch_size: int | None = None
    key: PrivateKey | None = None
    precisions: tuple[Precision, ...] = (Precision.FP32, Precision.FP16, Precision.INT8)
    optional: tuple[Precision, ...] = ()
    budget: Budget = field(default_factory=Budget)
    calibrators: tuple[RangeMethod, ...] = DEFAULT_METHODS
    ranges: Path | None = None
    ask_layers: bool = False
    allow_untrained: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't be made."""
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


@dataclass(frozen=True)
class Material:
    """What an export measures with.

    Attributes:
        scan: of the network's instrument, none of whose frames was trained on.
        reference: a reconstruction of it; None: FP32's own patches are the yardstick.
        source: what the scan's frames are to be.
        simulated: whether its file says that they are simulated.
        orientation: what was done to its frames, and `infer` is to do by default.
    """

    scan: Scan
    reference: PlacedImage | None = None
    source: CalibrationSource = CalibrationSource.MEASURED
    simulated: bool = False
    orientation: Orientation = Orientation.IDENTITY
