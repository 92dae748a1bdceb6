"""The package's `manifest.json` as typed, complete and checked dataclasses.

It states what the graph from counts to patches expects (window, binning, object pixel, probe), how
much accuracy each precision retains, and the provenance of weights and data.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from wnet_edge.physics.orientation import Orientation

SCHEMA_VERSION = 6
MANIFEST_FILE = "manifest.json"
PROBE_FILE = "probe.npy"
GOLDEN_FILE = "golden.npz"
MAX_GOLDEN_FRAMES = 64
MIN_WINDOW_PX, MAX_WINDOW_PX, MAX_FRAME_PX = 8, 1024, 4096
MAX_PROBE_MODES = 32
MAX_BATCH_SIZE = 1024

_DIGITS = 4
"""Decimal places of R-factors."""

Setting = str | int | float | bool | None
"""A value of the free-form quantisation and training settings."""


class Precision(str, Enum):
    """Numerical precision of a graph; `NAME.onnx` is its member in the package.

    INT8 is signed and symmetric throughout, which every provider supports. The other INT8 layouts
    are for CPUs: unsigned activations, with unsigned or signed weights.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_U8U8 = "int8-u8u8"
    INT8_U8S8 = "int8-u8s8"

    @property
    def quantised(self) -> bool:
        """Whether weights and activations are 8-bit integers."""
        return self not in (Precision.FP32, Precision.FP16)

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
    """Measured accuracy of a precision relative to FP32.

    Attributes:
        measures: name to value, such as {"phase_correlation": 0.998}; 1 is no loss.
        processor: name of the processor on which it was measured.
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
        retention: accuracy relative to FP32; None if not measured.
    """

    member: MemberEntry
    opset: int
    quantisation: dict[str, Setting] | None
    retention: Retention | None


class CalibrationSource(str, Enum):
    """Origin of the calibration frames."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    RANDOM = "random"


@dataclass(frozen=True)
class Calibration:
    """Held-out frames used to calibrate the quantiser; the golden frames are taken from them.

    Attributes:
        split: name of the part of their scan.
        frames: number of frames.
        sha256: hash of the counts as fed to the graph.
        source: measured by default.
    """

    split: str
    frames: int
    sha256: str
    source: CalibrationSource


@dataclass(frozen=True)
class CountRange:
    """Range of the incident counts per frame: those without a sample, from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Training:
    """Provenance of the weights: recipe, data and settings of the training.

    Attributes:
        recipe: name of the training recipe.
        seed: of simulation, initialisation and shuffling.
        data_sha256: fingerprint of the training data, or of the probe they were simulated with.
        epochs: number of epochs.
        frames: frames per epoch.
        counts: incident counts per frame in training; None if unknown.
        settings: further settings of the recipe.
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
    """R-factors of an image against measured frames, and of a blank object for comparison.

    R = Σ|√I − |Ψ|| / Σ√I over the compared frames, |Ψ|² simulated from image and probe with one
    fitted scale per frame. Independent deviations add in quadrature, so that √(R² − floor²) is
    free of counting noise.

    Attributes:
        r_factor: R of the image.
        r_floor: R expected from Poisson noise alone; 0 for frames that are not integer counts.
        r_blank: R of an object that is 1 everywhere.
        contrast: contrast of the image relative to that which fits the frames best; 1 is right.
        frames: number of frames compared.
    """

    r_factor: float
    r_floor: float
    r_blank: float
    contrast: float
    frames: int

    @property
    def rounded(self) -> "FrameFit":
        """To four decimal places, which do not depend on the order of summation."""
        return FrameFit(
            round(self.r_factor, _DIGITS),
            round(self.r_floor, _DIGITS),
            round(self.r_blank, _DIGITS),
            round(self.contrast, _DIGITS),
            self.frames,
        )

    @property
    def r_free(self) -> float:
        """R-factor of the image with counting noise subtracted in quadrature."""
        return math.sqrt(max(self.r_factor**2 - self.r_floor**2, 0.0))

    @property
    def r_blank_free(self) -> float:
        """R-factor of the blank object with counting noise subtracted in quadrature."""
        return math.sqrt(max(self.r_blank**2 - self.r_floor**2, 0.0))

    @property
    def unexplained(self) -> float:
        """Noise-free R of the image relative to that of a blank object; above 1 if it is worse.

        1 where counting noise alone explains the blank object's R.
        """
        return self.r_free / self.r_blank_free if self.r_blank_free > 0 else 1.0

    @property
    def explained(self) -> float:
        """1 − R / R_blank without counting noise: 0 for a blank object, 1 at best."""
        return 1 - self.unexplained


class Grade(str, Enum):
    """Worth of a package on the scan that it was adapted to."""

    GOOD = "good"
    USABLE = "usable"
    NOT_USABLE = "not usable"


@dataclass(frozen=True)
class Adaptation:
    """How a package was made for one instrument from one of its scans, and how good it is there.

    No frame of the scan was trained on.

    Attributes:
        scan: name of the scan's file.
        scan_sha256: fingerprint of the scan.
        frames: number of its frames.
        median_counts: of a frame.
        probe_from: where the probe comes from.
        choices: what was chosen and what was mended, one line each.
        image: R-factors of the network's image; None if no frame could be compared.
        refined: likewise, after passes of refinement.
        passes: number of those.
        phase_correlation: of the network's image with a reference; None without one.
        refined_phase_correlation: likewise, after refinement.
        grade: what the package is worth.
        reason: why it is no better, and what to do; None if it is good.
    """

    scan: str
    scan_sha256: str
    frames: int
    median_counts: float
    probe_from: str
    choices: tuple[str, ...]
    image: FrameFit | None
    refined: FrameFit | None
    passes: int
    phase_correlation: float | None
    refined_phase_correlation: float | None
    grade: Grade
    reason: str | None


@dataclass(frozen=True)
class Tolerance:
    """Largest permitted deviation of other hardware's outputs from the golden ones.

    Attributes:
        amplitude: largest absolute difference of the amplitude, dimensionless.
        phase_rad: largest absolute wrapped difference of the phase.
        phase_rms_rad: root mean square of the wrapped difference over all pixels.
    """

    amplitude: float
    phase_rad: float
    phase_rms_rad: float


@dataclass(frozen=True)
class GoldenEntry:
    """Golden frames: a few frames with each precision's outputs, and the tolerances for them."""

    member: MemberEntry
    frames: int
    tolerance: dict[Precision, Tolerance]


@dataclass(frozen=True)
class Compiled:
    """Target for which the graphs were compiled; they run nowhere else.

    Attributes:
        provider: execution provider, as named on the command line.
        onnxruntime: version of ONNX Runtime.
        processor: processor name with its vector instructions.
        source_sha256: hash of the package that was compiled.
    """

    provider: str
    onnxruntime: str
    processor: str
    source_sha256: str


@dataclass(frozen=True)
class Manifest:
    """Contents of `manifest.json`.

    Attributes:
        schema_version: version of this structure.
        model: name of the network.
        parameter_count: trainable parameters, before folding.
        window_px: edge of the graph's input and outputs.
        frame_px: edge of the full far-field window in detector pixels: window_px × binning.
        binning: detector pixels along an edge that are summed into one input pixel.
        batch_size: fixed batch size of the graphs; None for any.
        object_pixel_size_m: object pixel of the full window.
        orientation: flips and transposition applied to a frame first.
        probe: `probe.npy`, (modes, frame_px, frame_px) complex64; its SHA-256 is the fingerprint.
        precisions: the graphs.
        calibration: frames of the golden outputs and of the quantiser's ranges; None if unknown.
        self_check: reference R-factors for the self-check of `infer`; None if export had no scan.
        adaptation: how it was adapted to an instrument; None if it was not by `wnet-edge adapt`.
        training: provenance of the weights.
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
    adaptation: Adaptation | None
    training: Training
    versions: dict[str, str]
    created: str
    golden: GoldenEntry
    compiled: Compiled | None

    def kinds(self) -> tuple[Precision, ...]:
        """Precisions in the package, in the order of `Precision`."""
        return tuple(kind for kind in Precision if kind in self.precisions)

    def members(self) -> tuple[MemberEntry, ...]:
        """Every file but the manifest itself, in the order of the archive."""
        graphs = [self.precisions[kind].member for kind in self.kinds()]
        return (*graphs, self.probe, self.golden.member)


def creation_time(otherwise_s: float) -> str:
    """`created` for a manifest: SOURCE_DATE_EPOCH where set, else `otherwise_s` (Unix seconds).

    Raises:
        ValueError: if SOURCE_DATE_EPOCH is not a number of seconds.
    """
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or otherwise_s)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
