"""Compression filters of detectors, in a process that has not loaded them itself."""

import pickle
import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest

from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan

FRAMES = np.arange(4 * 8 * 8, dtype=np.uint16).reshape(4, 8, 8)

READ = """
import sys
from pathlib import Path
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
found = find_scan(Path(sys.argv[1]), ReadOptions(frames="frames"))
print(found.frames.value[1:3].sum(), "hdf5plugin" in sys.modules)
"""
UNPICKLE = """
import pickle, sys
print(pickle.load(open(sys.argv[1], "rb"))[1:3].sum(), "hdf5plugin" in sys.modules)
"""
STORED = {"plain": {}, "gzip": {"compression": "gzip"}, "bitshuffle": hdf5plugin.Bitshuffle()}


def stored(folder, how, *, virtual=False):
    """A file of `FRAMES`, or one that refers to it."""
    path = folder / "frames.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=FRAMES, chunks=(1, 8, 8), **STORED[how])
    if not virtual:
        return path
    layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
    layout[:] = h5py.VirtualSource(path.name, "frames", FRAMES.shape)
    with h5py.File(folder / "virtual.h5", "w") as file:
        file.create_virtual_dataset("frames", layout)
    return folder / "virtual.h5"


def told(script, path):
    """What a fresh interpreter says of a file."""
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    total, loaded = done.stdout.split()
    return int(total), loaded == "True"


@pytest.mark.parametrize("how", STORED)
def test_filters_are_loaded_where_one_is_needed(tmp_path, how):
    assert told(READ, stored(tmp_path, how)) == (FRAMES[1:3].sum(), how == "bitshuffle")


@pytest.mark.parametrize("virtual", [False, True], ids=["own", "virtual"])
@pytest.mark.parametrize("script", [READ, UNPICKLE], ids=["found", "passed on"])
def test_compressed_frames_reach_any_process(tmp_path, script, virtual):
    path = stored(tmp_path, "bitshuffle", virtual=virtual)
    if script is UNPICKLE:
        found = find_scan(path, ReadOptions(frames="frames"))
        path = tmp_path / "frames.pickle"
        path.write_bytes(pickle.dumps(found.frames.value))
    assert told(script, path) == (FRAMES[1:3].sum(), True)
