"""What an export is asked for, beyond the checkpoint and the scan."""

from dataclasses import dataclass

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.manifest import MAX_BATCH_SIZE
from wnet_edge.signature import PrivateKey


@dataclass(frozen=True)
class ExportOptions:
    """How a package is made.

    Attributes:
        opset: ONNX operator set of its graphs.
        batch_size: frames that every run of a graph takes; None for any number.
        key: to sign it with; None leaves it unsigned.

    Raises:
        ExportError: if opset or batch size are out of range.
    """

    opset: int = OPSET
    batch_size: int | None = None
    key: PrivateKey | None = None

    def __post_init__(self) -> None:
        if not OLDEST_OPSET <= self.opset <= NEWEST_OPSET:
            raise ExportError(
                f"opset {self.opset} can't be exported; choose from {OLDEST_OPSET} to "
                f"{NEWEST_OPSET}"
            )
        if self.batch_size is not None and not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise ExportError(
                f"a batch of {self.batch_size} can't be exported; choose from 1 to {MAX_BATCH_SIZE}"
            )
