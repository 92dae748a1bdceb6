"""What a package says of itself: `manifest.json`, typed, complete and checked.

It tells inference what the graph between counts and patches expects (window, binning, object
pixel, probe), what each precision keeps of the network's accuracy, and where all of it came from.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timezone
from enum import Enum

from wnet_edge.orientation import Orientation

SCHEMA_VERSION = 2
MANIFEST_FILE = "manifest.json"
PROBE_FILE = "probe.npy"
GOLDEN_FILE = "golden.npz"
MAX_GOLDEN_FRAMES = 256
MAX_WINDOW_PX = 4096

Setting = str | int | float | bool | None
"""A value in the free-form parts: quantisation and training settings."""


class Precision(str, Enum):
    """What a graph computes in; `NAME.onnx` is its file in the package."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"

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


@dataclass(frozen=True)
class Calibration:
    """The held-out frames that the quantiser saw: which split, and SHA-256 of their content."""

    split: str
    sha256: str


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
class SelfCheckLevel:
    """How well the network's image of a scan of its own instrument explains that scan's frames.

    The scan is measured and none of its frames was trained on.

    Attributes:
        r_factor: Σ|√I − |Ψ|| / Σ√I.
        r_floor: what Poisson noise alone would have given.
        frames: compared.
    """

    r_factor: float
    r_floor: float
    frames: int


@dataclass(frozen=True)
class Tolerance:
    """Largest absolute difference from the golden outputs that other hardware may show.

    Attributes:
        amplitude: of the amplitude, dimensionless.
        phase_rad: of the phase, wrapped.
    """

    amplitude: float
    phase_rad: float


@dataclass(frozen=True)
class GoldenEntry:
    """A few frames with each precision's outputs, and how near a machine has to come to them."""

    member: MemberEntry
    frames: int
    tolerance: dict[Precision, Tolerance]


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
        object_pixel_size_m: of the full window.
        orientation: what is done to a frame first.
        probe: `probe.npy`, (modes, frame_px, frame_px) complex64; its SHA-256 is the fingerprint.
        precisions: the graphs.
        calibration: None where nothing was quantised.
        self_check: what `infer` judges its own images by; None where no scan was at hand.
        training: how the weights came to be.
        versions: software name to version.
        created: ISO 8601, UTC, to the second: 2024-05-01T12:00:00Z.
        golden: `golden.npz`.
    """

    schema_version: int
    model: str
    parameter_count: int
    window_px: int
    frame_px: int
    binning: int
    object_pixel_size_m: float
    orientation: Orientation
    probe: MemberEntry
    precisions: dict[Precision, GraphEntry]
    calibration: Calibration | None
    self_check: SelfCheckLevel | None
    training: Training
    versions: dict[str, str]
    created: str
    golden: GoldenEntry

    def kinds(self) -> tuple[Precision, ...]:
        """The precisions held, in the order of `Precision`."""
        return tuple(kind for kind in Precision if kind in self.precisions)

    def members(self) -> tuple[MemberEntry, ...]:
        """Every file but the manifest itself, in the order in which they lie in the archive."""
        graphs = [self.precisions[kind].member for kind in self.kinds()]
        return (*graphs, self.probe, self.golden.member)

    def check(self) -> None:
        """See that the values make sense together; types are the decoder's business.

        Raises:
            ValueError: naming the value that does not.
        """
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {self.schema_version}, not {SCHEMA_VERSION}")
        _check_texts(self)
        _check_geometry(self)
        if not self.precisions:
            raise ValueError("precisions is empty")
        for kind, graph in self.precisions.items():
            if graph.opset < 1:
                raise ValueError(f"precisions.{kind.value}.opset is not positive")
        names = [kind.file for kind in self.kinds()]
        if [entry.file for entry in self.members()] != [*names, PROBE_FILE, GOLDEN_FILE]:
            raise ValueError("a member has another name than its kind")
        hashes = [entry.sha256 for entry in self.members()] + [self.training.data_sha256]
        hashes += [self.calibration.sha256] if self.calibration else []
        if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes):
            raise ValueError("a SHA-256 is not 64 hexadecimal digits")
        if not 1 <= self.golden.frames <= MAX_GOLDEN_FRAMES:
            raise ValueError(f"golden.frames is not within 1 … {MAX_GOLDEN_FRAMES}")
        _check_tolerance(self)
        _check_level(self.self_check)
        _check_counts(self.training.counts)
        if min(self.parameter_count, self.training.epochs, self.training.frames) < 0:
            raise ValueError("parameter_count, epochs or frames is negative")
        try:
            datetime.strptime(self.created, "%Y-%m-%dT%H:%M:%SZ")
        except ValueError as error:
            raise ValueError("created is not a UTC time such as 2024-05-01T12:00:00Z") from error


def creation_time(otherwise_s: float) -> str:
    """`created` for a manifest: SOURCE_DATE_EPOCH where set, else `otherwise_s` (Unix seconds).

    Raises:
        ValueError: if SOURCE_DATE_EPOCH is not a number of seconds.
    """
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or otherwise_s)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_geometry(manifest: Manifest) -> None:
    window, binning = manifest.window_px, manifest.binning
    if not 1 <= window <= MAX_WINDOW_PX or not 1 <= manifest.frame_px <= MAX_WINDOW_PX:
        raise ValueError(f"window_px or frame_px is not within 1 … {MAX_WINDOW_PX}")
    if binning < 1 or window * binning != manifest.frame_px:
        raise ValueError("frame_px is not window_px × binning")
    if not 0 < manifest.object_pixel_size_m < 1:
        raise ValueError("object_pixel_size_m is not a length in metres")


def _check_level(level: SelfCheckLevel | None) -> None:
    if level is not None and not (
        0 <= level.r_floor < level.r_factor < math.inf and level.frames > 0
    ):
        raise ValueError("self_check is out of range")


def _check_counts(counts: CountRange | None) -> None:
    if counts is not None and not 0 < counts.low <= counts.high < math.inf:
        raise ValueError("training.counts is out of range")


def _check_tolerance(manifest: Manifest) -> None:
    if set(manifest.golden.tolerance) != set(manifest.precisions):
        raise ValueError("golden.tolerance and precisions differ")
    for tolerance in manifest.golden.tolerance.values():
        if not (0 <= tolerance.amplitude < math.inf and 0 <= tolerance.phase_rad <= math.pi):
            raise ValueError("a tolerance in golden is out of range")


def _check_texts(manifest: Manifest) -> None:
    """No text may hold control characters: these strings end on terminals and in file names."""
    for text in _texts(manifest):
        if not text or not text.isprintable() or len(text) > 1000:
            raise ValueError("a text is empty, over 1000 characters or holds control characters")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
