"""What `wnet-edge tune` has measured, kept in the user's cache for a package on a device."""

import math
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.canonical_json import canonical_json, from_canonical_json
from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import check_output, replacing
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.cache import cache_folder
from wnet_edge.runner.graph.device import Device, this_device
from wnet_edge.runner.graph.run_settings import RunSettings

MAX_RECORD_BYTES = 1 << 20
_LONGEST_MS = 3.6e6
"""A frame, in an hour."""


@dataclass(frozen=True)
class TimedSettings:
    """A way that is accurate enough, and how fast it is.

    Attributes:
        run_settings: precision, provider, threads, batch.
        ms_per_frame: wall time of the graph, median.
    """

    run_settings: RunSettings
    ms_per_frame: float


@dataclass(frozen=True)
class TuneRecord:
    """What was measured of one package on one device.

    Attributes:
        package_sha256: of the package file.
        device: on which.
        max_phase_rms_rad: from FP32's golden patches, more than which was not taken.
        timed: the best first: the fastest, but for ties (`wnet_edge.runner.choosing.tune`).
    """

    package_sha256: str
    device: Device
    max_phase_rms_rad: float
    timed: tuple[TimedSettings, ...]

    def best_of(self, precision: Precision) -> TimedSettings | None:
        """The best of one precision; None where none was accurate enough or measured."""
        return next((one for one in self.timed if one.run_settings.precision is precision), None)


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


def write_record(record: TuneRecord, path: Path) -> None:
    """Write a record to where `room_for` said, in place of an earlier one.

    Raises:
        ResultError: if it can't be written.
    """
    with replacing(path, ResultError, force=True) as temporary:
        temporary.write_bytes(canonical_json(record))


def read_record(package: Package) -> TuneRecord | None:
    """The record of this package on this device; None where nothing was measured.

    Raises:
        ResultError: if there is one that can't be read, or can't be right.
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
        if path.exists() and not path.is_file():
            raise ValueError("a device or a pipe")
        with path.open("rb") as file:
            record = from_canonical_json(TuneRecord, file.read(MAX_RECORD_BYTES + 1), "tune")
        _check(record, package, device)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResultError(
            f"{path}: can't be used ({reason}); run wnet-edge tune again or delete it"
        ) from error
    return record


def _check(record: TuneRecord, package: Package, device: Device) -> None:
    """See that it can be what `tune` measured.

    Raises:
        ValueError: saying what can't.
    """
    if (record.package_sha256, record.device) != (package.sha256, device):
        raise ValueError("of another package or device")
    if not 0 <= record.max_phase_rms_rad <= math.pi:
        raise ValueError(f"max_phase_rms_rad is {record.max_phase_rms_rad}")
    for one in record.timed:
        if not 0 < one.ms_per_frame <= _LONGEST_MS:
            raise ValueError(f"ms_per_frame is {one.ms_per_frame}")
        if one.run_settings.precision not in package.graphs:
            raise ValueError(f"the package has no {one.run_settings.precision.value}")


def _folder() -> Path:
    return cache_folder() / "tune"
