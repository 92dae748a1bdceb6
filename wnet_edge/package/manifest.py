"""What a package says of itself: `manifest.json`, typed, complete and checked.

It tells inference what the graph between counts and patches expects (window, binning, object
pixel, probe), what each precision keeps of the network's accuracy, and where all of it came from.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from wnet_edge.physics.orientation import Orientation

SCHEMA_VERSION = 5
MANIFEST_FILE = "manifest.json"
PROBE_FILE = "probe.npy"
GOLDEN_FILE = "golden.npz"
MAX_GOLDEN_FRAMES = 64
MIN_WINDOW_PX, MAX_WINDOW_PX, MAX_FRAME_PX = 8, 1024, 4096
MAX_PROBE_MODES = 32
MAX_BATCH_SIZE = 1024

Setting = str | int | float | bool | None
"""A value in the free-form parts: quantisation and training settings."""


class Precision(str, Enum):
    """What a graph computes in; `NAME.onnx` is its file in the package.

    INT8 is signed symmetric throughout, which every provider takes. The others are layouts for
    processors: unsigned activations, with unsigned or signed weights.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_U8U8 = "int8-u8u8"
    INT8_U8S8 = "int8-u8s8"

    @property
    def file(self) -> str:
        """The graph's member name in the package."""
        return f"{self.value}.onnx"


@dataclass(frozen=True)
class MemberEntry:
    """A file in the package: its name, SHA-256 in hex, and size."""

    file: str
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, file: str, content: bytes) -> "MemberEntry":
        """The entry that describes `content`."""
        return cls(file, hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class Retention:
    """What a precision keeps of the FP32 network's quality, as measured.

    Attributes:
        measures: name to number, such as {"phase_correlation": 0.998}; 1 keeps all.
        processor: the machine's processor on which it was measured.
    """

    measures: dict[str, float]
    processor: str


@dataclass(frozen=True)
class GraphEntry:
    """One precision's graph.

    Attributes:
        member: the `.onnx` file.
        opset: version of the ONNX operator set.
        quantisation: settings of the quantiser; None for FP32.
        retention: None where it was not measured.
    """

    member: MemberEntry
    opset: int
    quantisation: dict[str, Setting] | None
    retention: Retention | None


class CalibrationSource(str, Enum):
    """Where the frames that the quantiser saw came from."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    RANDOM = "random"


@dataclass(frozen=True)
class Calibration:
    """The held-out frames that the quantiser saw, and that the golden ones are of.

    Attributes:
        split: which part of their scan.
        frames: how many.
        sha256: of their content as the graph takes it.
        source: measured unless asked for otherwise.
    """

    split: str
    frames: int
    sha256: str
    source: CalibrationSource


@dataclass(frozen=True)
class CountRange:
    """Counts that a frame would have held without the sample, from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Training:
    """How the weights came to be.

    Attributes:
        recipe: name of the training recipe.
        seed: of simulation, initialisation and shuffling.
        data_sha256: fingerprint of the training data, or of the probe they were simulated with.
        epochs: passes over the data.
        frames: frames per epoch.
        counts: flux of the frames; None where it is not known.
        settings: whatever else the recipe was given.
    """

    recipe: str
    seed: int
    data_sha256: str
    epochs: int
    frames: int
    counts: CountRange | None
    settings: dict[str, Setting]


@dataclass(frozen=True)
class FrameFit:
    """How well an image explains measured frames, beside what a blank object would.

    R = Σ|√I − |Ψ|| / Σ√I over the compared frames, |Ψ|² simulated from the image under the probe,
    one fitted scale a frame. Independent deviations add in quadrature, so that √(R² − floor²) is
    free of counting noise.

    Attributes:
        r_factor: of the image.
        r_floor: what Poisson noise alone would give; 0 for frames that are not whole counts.
        r_blank: of an object that is 1 everywhere.
        contrast: of the image over that which explains the frames best; 1 is right.
        frames: compared.
    """

    r_factor: float
    r_floor: float
    r_blank: float
    contrast: float
    frames: int

    @property
    def r_free(self) -> float:
        """R-factor freed of counting noise."""
        return math.sqrt(max(self.r_factor**2 - self.r_floor**2, 0.0))

    @property
    def r_blank_free(self) -> float:
        """The blank object's R-factor freed of counting noise."""
        return math.sqrt(max(self.r_blank**2 - self.r_floor**2, 0.0))

    @property
    def unexplained(self) -> float:
        """Of the blank object's misfit, what the image leaves; above 1 where it is worse.

        1 where noise alone explains the blank object's.
        """
        return self.r_free / self.r_blank_free if self.r_blank_free > 0 else 1.0

    @property
    def explained(self) -> float:
        """1 − R / R_blank, both freed of counting noise: 0 for a blank object, 1 at best."""
        return 1 - self.unexplained


@dataclass(frozen=True)
class Tolerance:
    """Difference from the golden outputs that other hardware may show, largest unless said.

    Attributes:
        amplitude: of the amplitude, dimensionless.
        phase_rad: of the phase, wrapped.
        phase_rms_rad: root mean square over all pixels, wrapped.
    """

    amplitude: float
    phase_rad: float
    phase_rms_rad: float


@dataclass(frozen=True)
class GoldenEntry:
    """A few frames with each precision's outputs, and how near a machine has to come to them."""

    member: MemberEntry
    frames: int
    tolerance: dict[Precision, Tolerance]


@dataclass(frozen=True)
class Compiled:
    """For what the graphs were compiled; they run nowhere else.

    Attributes:
        provider: of ONNX Runtime, as the command line names it.
        onnxruntime: its version.
        processor: in words, with its vector instructions.
        source_sha256: of the package that was compiled.
    """

    provider: str
    onnxruntime: str
    processor: str
    source_sha256: str


@dataclass(frozen=True)
class Manifest:
    """All a package says of itself.

    Attributes:
        schema_version: of this very structure.
        model: name of the network.
        parameter_count: trainable parameters, before folding.
        window_px: edge of the graph's input and outputs.
        frame_px: edge of the full far-field window in detector pixels: window_px × binning.
        binning: detector pixels along an edge that are summed into one input pixel.
        batch_size: frames that every run of a graph takes; None for any number.
        object_pixel_size_m: of the full window.
        orientation: what is done to a frame first.
        probe: `probe.npy`, (modes, frame_px, frame_px) complex64; its SHA-256 is the fingerprint.
        precisions: the graphs.
        calibration: frames behind the golden ones and the quantiser's ranges; None if unknown.
        self_check: what `infer` judges its own images by; None where no scan was at hand.
        training: how the weights came to be.
        versions: software name to version.
        created: ISO 8601, UTC, to the second: 2024-05-01T12:00:00Z.
        golden: `golden.npz`.
        compiled: None for graphs that run anywhere.
    """

    schema_version: int
    model: str
    parameter_count: int
    window_px: int
    frame_px: int
    binning: int
    batch_size: int | None
    object_pixel_size_m: float
    orientation: Orientation
    probe: MemberEntry
    precisions: dict[Precision, GraphEntry]
    calibration: Calibration | None
    self_check: FrameFit | None
    training: Training
    versions: dict[str, str]
    created: str
    golden: GoldenEntry
    compiled: Compiled | None

    def kinds(self) -> tuple[Precision, ...]:
        """The precisions held, in the order of `Precision`."""
        return tuple(kind for kind in Precision if kind in self.precisions)

    def members(self) -> tuple[MemberEntry, ...]:
        """Every file but the manifest itself, in the order in which they lie in the archive."""
        graphs = [self.precisions[kind].member for kind in self.kinds()]
        return (*graphs, self.probe, self.golden.member)


def creation_time(otherwise_s: float) -> str:
    """`created` for a manifest: SOURCE_DATE_EPOCH where set, else `otherwise_s` (Unix seconds).

    Raises:
        ValueError: if SOURCE_DATE_EPOCH is not a number of seconds.
    """
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or otherwise_s)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
