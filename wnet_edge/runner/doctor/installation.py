"""Installed versions and optional extras, and the state of the cache folder."""

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
"""Free disk space below which TensorRT's engines may not fit."""


@dataclass(frozen=True)
class Extra:
    """Optional libraries beyond the edge install, and what needs them.

    Attributes:
        name: name of the extra, as in pip install 'wnet-edge[NAME]'.
        modules: names of the modules to import.
        needed_for: commands and options that need it, for messages.
    """

    name: str
    modules: tuple[str, ...]
    needed_for: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed; checked without importing them."""
        return tuple(module for module in self.modules if find_spec(module) is None)


EXTRAS = (
    Extra(
        "train",
        ("torch", "onnx", "onnxscript", "safetensors", "scipy", "tqdm"),
        "simulate, train, export, adapt",
    ),
    Extra(
        "live",
        ("blosc", "bokeh", "cbor2", "dectris", "p4p", "zmq"),
        "stream, replay, --serve, --output-pv",
    ),
    Extra("refine", ("scipy",), "--refine, --refine-positions"),
    Extra("reference", ("ptychi", "scipy"), "reference"),
    Extra("tiff", ("tifffile",), "scans in TIFF, infer --format tiff"),
    Extra("sign", ("cryptography",), "--trust, export --sign"),
    Extra("tensorboard", ("tensorboardX",), "train --tensorboard"),
)


@dataclass(frozen=True)
class CacheState:
    """State of the cache folder, which need not exist yet.

    Attributes:
        folder: its path.
        size_bytes: total size of the files in it.
        free_bytes: free space on its disk.
        writable: whether it can be written to, or created.
    """

    folder: Path
    size_bytes: int
    free_bytes: int
    writable: bool

    @property
    def fault(self) -> str | None:
        """What is wrong with the cache, and the remedy; None if nothing is."""
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
    """Versions of the software that runs a package, by name, from the imported modules."""
    return {
        "wnet-edge": version("wnet-edge"),
        "Python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5plugin": hdf5plugin.version,
    }


def cache_state() -> CacheState:
    """State of this user's cache; nothing is created or changed."""
    folder = cache_folder()
    # Not Path.exists, which raises for inaccessible folders.
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
