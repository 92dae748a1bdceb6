"""Error of a precision that can't be in a package; the others can."""

from wnet_edge.errors import ExportError
from wnet_edge.package.manifest import Precision


class PrecisionError(ExportError):
    """A precision can't be in the package; one that is optional is left out.

    Attributes:
        reason: why, without the remedy.
        cure: what to do about it, beside leaving it out.
        precision: the precision.
    """

    def __init__(self, reason: str, cure: str, precision: Precision) -> None:
        super().__init__(f"{reason}; {cure}, or leave this precision out")
        self.reason, self.cure, self.precision = reason, cure, precision
