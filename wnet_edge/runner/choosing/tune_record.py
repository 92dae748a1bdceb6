"""Records of `wnet-edge tune` in the user's cache, one per package and device."""

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
"""Upper limit for a plausible time per frame: an hour."""


@dataclass(frozen=True)
class TimedSettings:
    """Run settings that are accurate enough, with their measured speed.

    Attributes:
        run_settings: precision, provider, threads, batch size.
        ms_per_frame: median wall time of the graph per frame.
    """

    run_settings: RunSettings
    ms_per_frame: float


@dataclass(frozen=True)
class TuneRecord:
    """Tuning result of one package on one device.

    Attributes:
        package_sha256: hash of the package file.
        device: device it was measured on.
        max_phase_rms_rad: largest accepted RMS phase deviation from FP32's golden patches.
        timed: accepted run settings, fastest first except for ties
            (`wnet_edge.runner.choosing.tune`).
    """

    package_sha256: str
    device: Device
    max_phase_rms_rad: float
    timed: tuple[TimedSettings, ...]

    def best_of(self, precision: Precision) -> TimedSettings | None:
        """Best run settings of one precision; None if none was measured or accurate enough."""
        return next((one for one in self.timed if one.run_settings.precision is precision), None)


def record_path(package_sha256: str, device: Device) -> Path:
    """Path of the record of a package on a device."""
    return _folder() / f"{package_sha256[:16]}-{device.key}.json"


def room_for(package: Package) -> Path:
    """Path for the record of this package on this device, checked to be writable before any work.

    Raises:
        ResultError: if it can't be written.
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
    """Write a record to the path from `room_for`, replacing an earlier one.

    Raises:
        ResultError: if it can't be written.
    """
    with replacing(path, ResultError, force=True) as temporary:
        temporary.write_bytes(canonical_json(record))


def read_record(package: Package) -> TuneRecord | None:
    """Read the record of this package on this device; None if there is none.

    Raises:
        ResultError: if the record can't be read or is not valid.
    """
    try:
        # Saves identifying the device.
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
    """Check that a record is plausible and of this package and device.

    Raises:
        ValueError: stating what is not.
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
