"""What `wnet-edge tune` has measured, kept in the user's cache for a package on a device."""

from dataclasses import dataclass
from pathlib import Path

from wnet_edge.canonical_json import canonical_json, from_canonical_json
from wnet_edge.errors import ResultError
from wnet_edge.manifest import Precision
from wnet_edge.outputs import check_output, replacing
from wnet_edge.package import Package
from wnet_edge.runner.cache import cache_folder
from wnet_edge.runner.device import Device, this_device
from wnet_edge.runner.ways import Way

MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True)
class TimedWay:
    """A way that is accurate enough, and how fast it is.

    Attributes:
        way: precision, provider, threads, batch.
        ms_a_frame: wall time of the graph, median.
    """

    way: Way
    ms_a_frame: float


@dataclass(frozen=True)
class TuneRecord:
    """What was measured of one package on one device.

    Attributes:
        package_sha256: of the package file.
        device: on which.
        max_phase_rms_rad: from FP32's golden patches, more than which was not taken.
        timed: the best first: the fastest, but for ties (`wnet_edge.runner.tuning`).
    """

    package_sha256: str
    device: Device
    max_phase_rms_rad: float
    timed: tuple[TimedWay, ...]

    def best_of(self, precision: Precision) -> TimedWay | None:
        """The best of one precision; None where none was accurate enough or measured."""
        return next((one for one in self.timed if one.way.precision is precision), None)


def record_path(package_sha256: str, device: Device) -> Path:
    """Where the record of a package on a device lies."""
    return _folder() / f"{package_sha256[:16]}-{device.key}.json"


def room_for(package: Package) -> Path:
    """Where the record of this package on this device can be written, seen before any work.

    Raises:
        ResultError: if it can't.
    """
    path = record_path(package.sha256, this_device())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"{path.parent}: can't be made ({error.strerror}); set XDG_CACHE_HOME to a folder "
            "that can be written"
        ) from error
    check_output(path, ResultError, force=True)
    return path


def keep(record: TuneRecord, path: Path) -> None:
    """Write a record to where `room_for` said, in place of an earlier one.

    Raises:
        ResultError: if it can't be written.
    """
    with replacing(path, ResultError, force=True) as temporary:
        temporary.write_bytes(canonical_json(record))


def kept(package: Package) -> TuneRecord | None:
    """The record of this package on this device; None where nothing was measured.

    Raises:
        ResultError: if there is one that can't be read.
    """
    try:
        # Spares asking what device this is.
        if not any(_folder().glob(f"{package.sha256[:16]}-*.json")):
            return None
    except OSError as error:
        raise ResultError(
            f"{_folder()}: can't be looked into ({(error.strerror or str(error)).lower()}); set "
            "XDG_CACHE_HOME to a folder of yours"
        ) from error
    device = this_device()
    path = record_path(package.sha256, device)
    try:
        with path.open("rb") as file:
            record = from_canonical_json(TuneRecord, file.read(MAX_RECORD_BYTES), "tune")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{path}: can't be read ({error}); run wnet-edge tune again or delete it"
        ) from error
    if (record.package_sha256, record.device) != (package.sha256, device):
        raise ResultError(f"{path}: is of another package or device; delete it")
    return record


def _folder() -> Path:
    return cache_folder() / "tune"
