"""What is installed beside a package, and where wnet-edge keeps what it measures and builds."""

import contextlib
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import onnxruntime

from wnet_edge.runner.graph.cache import cache_folder

LITTLE_ROOM_BYTES = 1 << 28
"""Free space below which engines of TensorRT may not fit any more."""


@dataclass(frozen=True)
class Extra:
    """Libraries that the edge does without, and what needs them.

    Attributes:
        name: of the extra: pip install 'wnet-edge[NAME]'.
        modules: as they are imported.
        needed_for: in words, commands and options by name.
    """

    name: str
    modules: tuple[str, ...]
    needed_for: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that are not installed; nothing is imported to see it."""
        return tuple(module for module in self.modules if find_spec(module) is None)


EXTRAS = (
    Extra(
        "train",
        ("torch", "onnx", "onnxscript", "safetensors", "scipy", "tqdm"),
        "simulate, train, export",
    ),
    Extra("tiff", ("tifffile",), "scans in TIFF, infer --format tiff"),
    Extra("sign", ("cryptography",), "--trust, export --sign"),
    Extra("tensorboard", ("tensorboardX",), "train --tensorboard"),
)


@dataclass(frozen=True)
class CacheState:
    """The cache, which need not exist yet.

    Attributes:
        folder: of it.
        size_bytes: of the files in it.
        free_bytes: on its disk.
        writable: whether it is, or can be made.
    """

    folder: Path
    size_bytes: int
    free_bytes: int
    writable: bool

    @property
    def fault(self) -> str | None:
        """What is wrong with it, and the cure."""
        if not self.writable:
            return (
                f"{self.folder}: can't be written; set XDG_CACHE_HOME to a folder that can be, or "
                "nothing that is measured or built is kept"
            )
        if self.free_bytes < LITTLE_ROOM_BYTES:
            return (
                f"{self.folder}: {self.free_bytes >> 20} MB left on its disk; make room or set "
                "XDG_CACHE_HOME to another disk"
            )
        return None


def versions() -> dict[str, str]:
    """Of what runs a package, by name: those that are imported, not those that pip tells of."""
    return {
        "wnet-edge": version("wnet-edge"),
        "Python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5plugin": hdf5plugin.version,
    }


def cache_state() -> CacheState:
    """Of this user's cache, which is left as it is."""
    folder = cache_folder()
    # Not Path.exists, which raises where a folder can't be entered.
    nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110
    sizes = []
    with contextlib.suppress(OSError):
        sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
    return CacheState(
        folder=folder,
        size_bytes=sum(sizes),
        free_bytes=shutil.disk_usage(nearest).free,
        writable=nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK),
    )
