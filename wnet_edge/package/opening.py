"""The package file `NAME.wnet`: graphs, probe, golden frames and manifest in one archive.

Everything that inference needs to turn frames into patches, protected against change: opening
verifies the archive byte for byte, the manifest's schema and every SHA-256 before anything is used.
No pickle.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import PackageError, SimulationError
from wnet_edge.host.inputs import input_file, note_input
from wnet_edge.package.archive import array_from_npy
from wnet_edge.package.golden import GoldenFrames, golden_frames
from wnet_edge.package.graph.check import Cost
from wnet_edge.package.manifest import (
    GOLDEN_FILE,
    MAX_PROBE_MODES,
    PROBE_FILE,
    Manifest,
    Precision,
)
from wnet_edge.package.signature import (
    PublicKey,
    Signature,
)
from wnet_edge.package.verification import verified_members
from wnet_edge.physics.instrument import Instrument

_MOST_PROBE = 1e7
"""Limit on the mean |probe| in square-root counts: 1e14 photons per pixel, beyond any detector."""


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

    @property
    def instrument(self) -> Instrument:
        """Instrument for which the network was trained; its wavelength is unknown.

        Raises:
            PackageError: if the probe is zero in the network's window.
        """
        manifest = self.manifest
        try:
            return Instrument(
                self.probe, manifest.window_px, manifest.binning, manifest.object_pixel_size_m
            )
        except SimulationError as error:
            raise PackageError(
                f"{self.path}: the probe is dark in the whole window; export it with a measured "
                "probe"
            ) from error


def open_package(path: Path, trusted: PublicKey | None = None) -> Package:
    """Read and verify a package: archive, schema, every hash, and the signature if a key is given.

    Raises:
        PackageError: if the file is missing, too large, damaged or of another schema version.
        SignatureError: if it has no valid signature by `trusted`.
    """
    data = read_package_file(path)
    try:
        return verified_package(path, data, trusted)
    except ValueError as error:
        raise PackageError(
            f"{path}: not an intact package ({error}); copy or export it again"
        ) from error


def verified_package(path: Path, data: bytes, trusted: PublicKey | None = None) -> Package:
    """Verify the bytes of a package and decode it; `path` is used in messages.

    Raises:
        ValueError: if the package is damaged.
        PackageError: if it is of another schema version.
        SignatureError: if it has no valid signature by `trusted`.
    """
    found = verified_members(path, data, trusted)
    manifest, members = found.manifest, found.members
    return Package(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        manifest=manifest,
        graphs={kind: members[kind.file] for kind in manifest.kinds()},
        costs=found.costs,
        probe=_probe(members[PROBE_FILE], manifest.frame_px),
        golden=golden_frames(members[GOLDEN_FILE], manifest),
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
        raise ValueError(f"{PROBE_FILE} is dark, or holds values that are not square-root counts")
    return probe


PACKAGE_SUFFIX = ".wnet"


MAX_PACKAGE_BYTES = 192 << 20
"""Five times the package of the largest network; opening needs three times the file in memory."""


def read_package_file(path: Path) -> bytes:
    """Read a package file whole.

    Raises:
        PackageError: if it is missing, no regular file, too large or unreadable.
    """
    note_input(path, PackageError, "the package")
    input_file(path, PackageError, f"name a {PACKAGE_SUFFIX} file or an embedded package")
    try:
        size = path.stat().st_size
        if size > MAX_PACKAGE_BYTES:
            raise PackageError(
                f"{path}: {size} bytes is more than a package may have ({MAX_PACKAGE_BYTES}); "
                "export a smaller network"
            )
        with path.open("rb") as file:
            return file.read(size + 1)
    except (OSError, ValueError) as error:
        raise PackageError(f"{path}: can't be read ({error}); check its permissions") from error
