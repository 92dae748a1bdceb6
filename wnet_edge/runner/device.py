"""Which machine this is, as far as it decides how fast a graph runs and what a compiled one is for.

What is measured on one device says nothing of another: the key tells them apart.
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
from wnet_edge.processor import processor_name
from wnet_edge.runner.providers import has_nvidia_driver, offered

_BOARD = Path("/proc/device-tree/model")
"""Where Linux on ARM names the board, a Jetson say."""


@dataclass(frozen=True)
class Device:
    """This machine.

    Attributes:
        system: operating system and architecture.
        processor: in words, with its vector instructions.
        cores: that this process may use.
        gpu: in words; None where there is no NVIDIA driver.
        onnxruntime: its version.
        providers: that it was built with.
    """

    system: str
    processor: str
    cores: int
    gpu: str | None
    onnxruntime: str
    providers: tuple[str, ...]

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that are other ones on any other device or version."""
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


def _gpu_name() -> str:
    """Of the first card, with the driver's version where nvidia-smi is there to tell."""
    program = shutil.which("nvidia-smi")
    if program is not None:
        query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return "unknown NVIDIA device"
        return " ".join(told.stdout.splitlines()[0].split()) if told.stdout else "unknown"
    try:
        return _BOARD.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return "unknown NVIDIA device"
