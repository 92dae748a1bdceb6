"""What a user asks of an adaptation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wnet_edge.errors import OptionError, PackageError
from wnet_edge.framing.for_network import Turns
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import PACKAGE_SUFFIX
from wnet_edge.physics.optics import Optics

CHECKPOINT_SUFFIX = ".safetensors"

DEFAULT_MINUTES = 10.0
REFINING_PASSES = 5


@dataclass(frozen=True)
class AdaptOptions:
    """Options of an adaptation.

    Attributes:
        scan: the scan's file, or (N, H, W) counts.
        reading: what the user says of the scan; with a probe from elsewhere, if it is named.
        turns: orientations applied to its frames and positions.
        optics: what lights the sample, where there is no probe.
        model: network to train.
        window_px: edge of its window; None to choose by the probe.
        binning: stored pixels along an edge of one of the network's; None to choose.
        minutes: for everything, from start to package.
        initial: checkpoint of weights to start from; None for random ones.
        reference: reconstruction of the scan to compare with; None for none.
        precisions: of the package; empty for all within their budget.
        seed: of everything random.

    Raises:
        OptionError: if options contradict each other.
    """

    scan: Path | NDArray[Any]
    reading: ReadOptions = field(default_factory=ReadOptions)
    turns: Turns = field(default_factory=Turns)
    optics: Optics | None = None
    model: ModelName = ModelName.W3
    window_px: int | None = None
    binning: int | None = None
    minutes: float = DEFAULT_MINUTES
    initial: Path | None = None
    reference: Path | None = None
    precisions: tuple[Precision, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.optics is not None and self.reading.probe not in (None, "none"):
            raise OptionError("--probe is a probe, --optics describes one: give either")

    @property
    def quantises(self) -> bool:
        """Whether the package is to hold a precision that is searched for: any INT8."""
        return not self.precisions or any("int8" in kind.value for kind in self.precisions)


@dataclass(frozen=True)
class AdaptOutputs:
    """Files of an adaptation.

    Attributes:
        package: package file.
        picture: PNG of the scan's image; None for none.
        resume: go on from the checkpoint of an interrupted run.
        force: replace existing files.

    Raises:
        PackageError: if the package's name does not end in .wnet.
    """

    package: Path
    picture: Path | None
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse another suffix."""
        if self.package.suffix != PACKAGE_SUFFIX:
            raise PackageError(
                f"{self.package}: a package file's name must end in {PACKAGE_SUFFIX}"
            )

    @property
    def checkpoint(self) -> Path:
        """Weights after every epoch, beside the package."""
        return self.package.with_suffix(CHECKPOINT_SUFFIX)
