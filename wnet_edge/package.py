"""The package file `NAME.wnet`: graphs, probe, golden frames and manifest in one archive.

Everything that inference needs to turn frames into patches, protected against change: opening
verifies the archive byte for byte, the manifest's schema and every SHA-256 before anything is used.
No pickle.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.archive import archive_bytes, archive_members, array_from_npy, npy_bytes
from wnet_edge.canonical_json import canonical_json
from wnet_edge.errors import PackageError
from wnet_edge.graph_check import Cost
from wnet_edge.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MAX_PROBE_MODES,
    PROBE_FILE,
    SCHEMA_VERSION,
    Calibration,
    Compiled,
    FrameFit,
    GoldenEntry,
    GraphEntry,
    Manifest,
    MemberEntry,
    Precision,
    Retention,
    Setting,
    Tolerance,
    Training,
)
from wnet_edge.orientation import Orientation
from wnet_edge.outputs import replacing
from wnet_edge.package_file import MAX_PACKAGE_BYTES, PACKAGE_SUFFIX, read_package_file
from wnet_edge.signature import (
    SIGNATURE_FILE,
    PrivateKey,
    PublicKey,
    Signature,
    signature_json,
)
from wnet_edge.verification import seal, verified_members

_MOST_PROBE = 1e7
"""Limit on the mean |probe| in square-root counts: 1e14 photons per pixel, beyond any detector."""

Patches = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Amplitude and phase in rad, both (N, 1, H, W) float32: the outputs of a graph."""


@dataclass(frozen=True)
class Graph:
    """A graph to be packed: its bytes and its manifest values (see `GraphEntry`)."""

    content: bytes
    opset: int
    quantisation: dict[str, Setting] | None = None
    retention: Retention | None = None


@dataclass(frozen=True)
class GoldenFrames:
    """Golden frames: a few frames with the outputs of each precision's graph.

    Attributes:
        counts: (N, 1, H, W) float32, the graph's input.
        outputs: each precision's amplitude and phase in rad, (N, 1, H, W) float32.
    """

    counts: NDArray[np.float32]
    outputs: Mapping[Precision, Patches]


@dataclass(frozen=True)
class PackageContent:
    """Content of a package to be written; see `Manifest` for the other fields.

    Attributes:
        probe: (modes, frame_px, frame_px) complex64 in square-root counts, frame_px being
            window_px × binning.
        graphs: graphs by precision.
        golden: golden frames, with outputs of every precision in `graphs`.
        tolerance: largest permitted deviation from `golden` on another machine, by precision.
    """

    model: str
    parameter_count: int
    window_px: int
    binning: int
    object_pixel_size_m: float
    probe: NDArray[np.complex64]
    graphs: Mapping[Precision, Graph]
    golden: GoldenFrames
    tolerance: Mapping[Precision, Tolerance]
    training: Training
    versions: Mapping[str, str]
    created: str
    batch_size: int | None = None
    calibration: Calibration | None = None
    self_check: FrameFit | None = None
    orientation: Orientation = Orientation.IDENTITY
    compiled: Compiled | None = None


@dataclass(frozen=True)
class Package:
    """A verified package.

    Attributes:
        path: file it was read from.
        sha256: hash of the whole file.
        manifest: contents of `manifest.json`.
        graphs: ONNX bytes by precision.
        costs: memory and work of each graph; None for a compiled one.
        probe: (modes, frame_px, frame_px) complex64 in square-root counts, read-only.
        golden: golden frames, read-only.
        signature: signature found in the file; None if there is none.
        trusted: whether the signature was verified with a key given by the user.
    """

    path: Path
    sha256: str
    manifest: Manifest
    graphs: Mapping[Precision, bytes]
    costs: Mapping[Precision, Cost | None]
    probe: NDArray[np.complex64]
    golden: GoldenFrames
    signature: Signature | None
    trusted: bool

    @property
    def name(self) -> str:
        """File name without the suffix."""
        return self.path.stem


def find_package(name_or_file: str) -> Path:
    """Path of a package: a file if the text ends in `.wnet` or has a path separator.

    Any other text is the name of an embedded package.

    Raises:
        PackageError: if no embedded package has that name.
    """
    if name_or_file.endswith(PACKAGE_SUFFIX) or "/" in name_or_file or "\\" in name_or_file:
        return Path(name_or_file)
    embedded = embedded_packages()
    if name_or_file not in embedded:
        available = ", ".join(sorted(embedded)) or "none"
        raise PackageError(
            f"{name_or_file}: no embedded package of that name (available: {available}); "
            f"a package file's name ends in {PACKAGE_SUFFIX}"
        )
    return embedded[name_or_file]


def embedded_packages() -> dict[str, Path]:
    """Packages that ship with wnet-edge: name to path."""
    folder = Path(str(files("wnet_edge") / "packages"))
    return {path.stem: path for path in sorted(folder.glob(f"*{PACKAGE_SUFFIX}"))}


def open_package(path: Path, trusted: PublicKey | None = None) -> Package:
    """Read and verify a package: archive, schema, every hash, and the signature if a key is given.

    Raises:
        PackageError: if the file is missing, too large, damaged or of another schema version.
        SignatureError: if it has no valid signature by `trusted`.
    """
    data = read_package_file(path)
    try:
        return _verified(path, data, trusted)
    except ValueError as error:
        raise PackageError(
            f"{path}: not an intact package ({error}); copy or export it again"
        ) from error


def package_bytes(content: PackageContent, key: PrivateKey | None = None) -> bytes:
    """Bytes of the package file: reproducible for the same content and key on any machine.

    Raises:
        ValueError: if the content is inconsistent.
    """
    graphs = {kind: content.graphs[kind] for kind in Precision if kind in content.graphs}
    members = {kind.file: graph.content for kind, graph in graphs.items()}
    members[PROBE_FILE] = npy_bytes(content.probe.astype(np.complex64, copy=False))
    members[GOLDEN_FILE] = _golden_bytes(content.golden)
    entries = {name: MemberEntry.of(name, member) for name, member in members.items()}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model=content.model,
        parameter_count=content.parameter_count,
        window_px=content.window_px,
        frame_px=content.window_px * content.binning,
        binning=content.binning,
        batch_size=content.batch_size,
        object_pixel_size_m=content.object_pixel_size_m,
        orientation=content.orientation,
        probe=entries[PROBE_FILE],
        precisions={
            kind: GraphEntry(entries[kind.file], graph.opset, graph.quantisation, graph.retention)
            for kind, graph in graphs.items()
        },
        calibration=content.calibration,
        self_check=content.self_check,
        training=content.training,
        versions=dict(content.versions),
        created=content.created,
        golden=GoldenEntry(
            entries[GOLDEN_FILE], len(content.golden.counts), dict(content.tolerance)
        ),
        compiled=content.compiled,
    )
    manifest_json = canonical_json(manifest)
    members = {MANIFEST_FILE: manifest_json, **members}
    if key is not None:
        members[SIGNATURE_FILE] = signature_json(manifest_json, key)
    data = archive_bytes(members, seal(manifest_json))
    if len(data) > MAX_PACKAGE_BYTES:
        raise ValueError(f"{len(data)} bytes, more than a package may have ({MAX_PACKAGE_BYTES})")
    _verified(Path("package"), data)
    return data


def pack(content: PackageContent) -> Package:
    """Build a package in memory only.

    Raises:
        ValueError: if the content is inconsistent.
    """
    return _verified(Path("unwritten.wnet"), package_bytes(content))


def write_package(
    path: Path, content: PackageContent, *, force: bool = False, key: PrivateKey | None = None
) -> Package:
    """Write a package atomically, signed with `key` if given; returns it as read back.

    Raises:
        PackageError: if the content is inconsistent, the file exists and `force` is False, or it
            can't be written.
    """
    if path.suffix != PACKAGE_SUFFIX:
        raise PackageError(f"{path}: a package file's name ends in {PACKAGE_SUFFIX}")
    try:
        data = package_bytes(content, key)
    except ValueError as error:
        raise PackageError(
            f"{path}: can't be packed ({error}); export from a checkpoint"
        ) from error
    with replacing(path, PackageError, force=force) as temporary:
        temporary.write_bytes(data)
    return _verified(path, data)


def _verified(path: Path, data: bytes, trusted: PublicKey | None = None) -> Package:
    found = verified_members(path, data, trusted)
    manifest, members = found.manifest, found.members
    return Package(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        manifest=manifest,
        graphs={kind: members[kind.file] for kind in manifest.kinds()},
        costs=found.costs,
        probe=_probe(members[PROBE_FILE], manifest.frame_px),
        golden=_golden_frames(members[GOLDEN_FILE], manifest),
        signature=found.signature,
        trusted=trusted is not None,
    )


def _probe(data: bytes, frame_px: int) -> NDArray[np.complex64]:
    probe = array_from_npy(data, np.complex64, (None, frame_px, frame_px))
    if len(probe) > MAX_PROBE_MODES:
        raise ValueError(f"{PROBE_FILE} has {len(probe)} modes, more than {MAX_PROBE_MODES}")
    power = np.sum(np.abs(probe), dtype=np.float64)
    # The comparison is false for NaN and infinity, too.
    if not 0 < power <= _MOST_PROBE * probe.size:
        raise ValueError(f"{PROBE_FILE} is dark, or holds values that are no square-root counts")
    return probe


def _golden_bytes(golden: GoldenFrames) -> bytes:
    arrays = {"counts.npy": golden.counts}
    for kind in Precision:
        if kind in golden.outputs:
            arrays[f"{kind.value}_amplitude.npy"], arrays[f"{kind.value}_phase.npy"] = (
                golden.outputs[kind]
            )
    return archive_bytes({name: npy_bytes(array) for name, array in arrays.items()})


def _golden_frames(data: bytes, manifest: Manifest) -> GoldenFrames:
    members, comment = archive_members(data)
    kinds = manifest.kinds()
    outputs = [f"{kind.value}_{part}.npy" for kind in kinds for part in ("amplitude", "phase")]
    if list(members) != ["counts.npy", *outputs] or comment:
        raise ValueError(f"{GOLDEN_FILE} holds other arrays than the graphs call for")
    shape = (manifest.golden.frames, 1, manifest.window_px, manifest.window_px)
    arrays = {name: array_from_npy(raw, np.float32, shape) for name, raw in members.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{GOLDEN_FILE} holds values that are no numbers")
    return GoldenFrames(
        counts=arrays["counts.npy"],
        outputs={
            kind: (arrays[f"{kind.value}_amplitude.npy"], arrays[f"{kind.value}_phase.npy"])
            for kind in kinds
        },
    )
