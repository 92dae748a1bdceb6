"""Writing of packages: reproducible bytes for the same content, optionally signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.canonical_json import canonical_json
from wnet_edge.errors import PackageError
from wnet_edge.host.outputs import replacing
from wnet_edge.package.archive import archive_bytes, npy_bytes
from wnet_edge.package.golden import GoldenFrames, golden_bytes
from wnet_edge.package.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    PROBE_FILE,
    SCHEMA_VERSION,
    Adaptation,
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
from wnet_edge.package.opening import (
    MAX_PACKAGE_BYTES,
    PACKAGE_SUFFIX,
    Package,
    verified_package,
)
from wnet_edge.package.signature import (
    SIGNATURE_FILE,
    PrivateKey,
    signature_json,
)
from wnet_edge.package.verification import seal
from wnet_edge.physics.orientation import Orientation


@dataclass(frozen=True)
class Graph:
    """A graph to be packed: its bytes and its manifest values (see `GraphEntry`)."""

    content: bytes
    opset: int
    quantisation: dict[str, Setting] | None = None
    retention: Retention | None = None


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
    adaptation: Adaptation | None = None
    orientation: Orientation = Orientation.IDENTITY
    compiled: Compiled | None = None


def content_of(package: Package) -> PackageContent:
    """What a package holds, to be packed again with something changed."""
    manifest = package.manifest
    return PackageContent(
        model=manifest.model,
        parameter_count=manifest.parameter_count,
        window_px=manifest.window_px,
        binning=manifest.binning,
        object_pixel_size_m=manifest.object_pixel_size_m,
        probe=package.probe,
        graphs={
            kind: Graph(content, entry.opset, entry.quantisation, entry.retention)
            for kind, content in package.graphs.items()
            for entry in (manifest.precisions[kind],)
        },
        golden=package.golden,
        tolerance=manifest.golden.tolerance,
        training=manifest.training,
        versions=manifest.versions,
        created=manifest.created,
        batch_size=manifest.batch_size,
        calibration=manifest.calibration,
        self_check=manifest.self_check,
        adaptation=manifest.adaptation,
        orientation=manifest.orientation,
        compiled=manifest.compiled,
    )


def package_bytes(content: PackageContent, key: PrivateKey | None = None) -> bytes:
    """Bytes of the package file: reproducible for the same content and key on any machine.

    Raises:
        ValueError: if the content is inconsistent.
    """
    graphs = {kind: content.graphs[kind] for kind in Precision if kind in content.graphs}
    members = {kind.file: graph.content for kind, graph in graphs.items()}
    members[PROBE_FILE] = npy_bytes(content.probe.astype(np.complex64, copy=False))
    members[GOLDEN_FILE] = golden_bytes(content.golden)
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
        adaptation=content.adaptation,
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
    verified_package(Path("package"), data)
    return data


def pack(content: PackageContent) -> Package:
    """Build a package in memory only.

    Raises:
        ValueError: if the content is inconsistent.
    """
    return verified_package(Path("unwritten.wnet"), package_bytes(content))


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
    return verified_package(path, data)
