"""Identity of this machine, as far as it determines the speed of a graph or a compiled graph.

Measurements are valid for one device only; its key tells devices apart.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from wnet_edge.canonical_json import canonical_json
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.providers import has_nvidia_driver, offered

_BOARD = Path("/proc/device-tree/model")
"""Where Linux on ARM states the board, a Jetson for example."""

_PCI_DEVICES = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", "0x03"
"""PCI vendor ID of NVIDIA, and PCI class of display and 3D controllers."""

_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Device:
    """This machine.

    Attributes:
        system: operating system and architecture.
        processor: processor name with its vector instructions.
        cores: logical cores that this process may use.
        gpu: name of the GPU; None without an NVIDIA driver.
        onnxruntime: version of ONNX Runtime.
        providers: execution providers that it was built with.
    """

    system: str
    processor: str
    cores: int
    gpu: str | None
    onnxruntime: str
    providers: tuple[str, ...]

    @property
    def key(self) -> str:
        """Fingerprint of device and versions, twelve hexadecimal digits."""
        return hashlib.sha256(canonical_json(self)).hexdigest()[:12]


def this_device() -> Device:
    """The machine that this process runs on."""
    return Device(
        system=f"{platform.system()} {platform.machine()}",
        processor=processor_name(),
        cores=usable_cores(),
        gpu=_gpu_name() if has_nvidia_driver() else None,
        onnxruntime=onnxruntime.__version__,
        providers=tuple(provider.value for provider in offered()),
    )


def usable_cores() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota_cores() -> float | None:
    """Processor quota of this process in Linux's control groups, in cores; None if unlimited.

    A container with a quota still sees every core of the machine.
    """
    try:
        own = _OWN_GROUP.read_text("ascii").partition("0::/")[2].split("\n", 1)[0]
    except OSError:
        return None
    group = _GROUPS / own.lstrip("/")
    folders = [folder for folder in (group, *group.parents) if folder.is_relative_to(_GROUPS)]
    quotas = (_quota(folder / "cpu.max") for folder in folders)
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(path: Path) -> float | None:
    try:
        quota, period = path.read_text("ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None


def has_nvidia_card() -> bool:
    """Whether Linux sees an NVIDIA GPU, with or without a driver; False if that is unknown."""
    for device in _PCI_DEVICES.glob("*"):
        try:
            vendor, kind = ((device / name).read_text("ascii") for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor.strip() == _NVIDIA and kind.startswith(_DISPLAY):
            return True
    return "NVIDIA" in (_board() or "")


def _gpu_name() -> str:
    """Name of the first GPU, with the driver's version if nvidia-smi is available."""
    program = shutil.which("nvidia-smi")
    if program is not None:
        query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return "unknown NVIDIA device"
        return " ".join(told.stdout.splitlines()[0].split()) if told.stdout else "unknown"
    return _board() or "unknown NVIDIA device"


def _board() -> str | None:
    try:
        return _BOARD.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return None
