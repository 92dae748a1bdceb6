"""Files that grow, written by a program of its own, a step at a time: HDF5 locks between processes.

`Writer(folder)` starts the program; `writer.do("…")` runs a line of Python in it, where all names
of this module are known, and returns when it is done.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from known_data import small
from layout_parts import put, translation_of

from wnet_edge.io.containers.units import JOULE_PER_EV

KNOWN = small(rows=5, columns=8)
"""40 frames of 32 × 32."""

DETECTOR = "entry_1/instrument_1/detector_1"
FRAMES = f"{DETECTOR}/data"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
NAME = "scan.cxi"

PROGRAM = """
import sys
from growing_files import *
for line in sys.stdin:
    exec(line.strip())
    print("done", flush=True)
"""


class Writer:
    """A program that writes files in a folder."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, line):
        """Run a line of Python; returns when it is done."""
        self.begin(line)
        self.wait()

    def begin(self, line):
        """Run a line of Python meanwhile."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait(self):
        """Wait for the line that was begun."""
        assert self._process.stdout.readline() == "done\n"

    def kill(self):
        """Kill it (-9), whatever it has open."""
        self._process.kill()
        self._process.communicate()


def created(name=NAME, frames=None, positions=None, **creation):
    """A CXI file, open for writing.

    Args:
        name: of the file.
        frames: shape that the frames' dataset has from the start; by default it can grow.
        positions: value that the positions' dataset is full of; by default it can grow.
        creation: of the frames' dataset.
    """
    file = h5py.File(name, "w", libver="latest")
    file["cxi_version"] = 160
    geometry = KNOWN.geometry
    put(file, "entry_1/instrument_1/source_1/energy", geometry.energy_ev * JOULE_PER_EV)
    put(file, f"{DETECTOR}/distance", geometry.distance_m, "m")
    for axis in "xy":
        put(file, f"{DETECTOR}/{axis}_pixel_size", geometry.detector_pixel_size_m, "m")
    put(file, f"{DETECTOR}/mask", KNOWN.mask.astype(np.uint32))
    size = KNOWN.frames.shape[1:]
    if frames is None:
        creation = {"chunks": (1, *size)} | creation
        file.create_dataset(FRAMES, (0, *size), "u4", maxshape=(None, *size), **creation)
    else:
        file.create_dataset(FRAMES, (frames, *size), "u4", **creation)
    if positions is None:
        file.create_dataset(TRANSLATION, (0, 3), "f8", maxshape=(None, 3))
    else:
        put(file, TRANSLATION, np.full((len(KNOWN.frames), 3), positions))
    return file


def started(*arguments, **options):
    """As `created`, in SWMR mode."""
    file = created(*arguments, **options)
    file.swmr_mode = True
    return file


def add_frames(file, first, end):
    """Write frames, in room for them or by extending."""
    dataset = file[FRAMES]
    if dataset.maxshape[0] is None:
        dataset.resize(end, axis=0)
    dataset[first:end] = KNOWN.frames[first:end]
    file.flush()


def add_positions(file, first, end):
    """Write positions likewise."""
    dataset = file[TRANSLATION]
    if dataset.maxshape[0] is None:
        dataset.resize(end, axis=0)
    dataset[first:end] = translation_of(KNOWN)[first:end]
    file.flush()


def add(file, first, end):
    """Write positions, then frames."""
    add_positions(file, first, end)
    add_frames(file, first, end)


def append_by_reopening(count, pause_s):
    """Open the file for each frame and close it again: fails if a reader has it locked."""
    import time

    created().close()
    for number in range(count):
        with h5py.File(NAME, "r+") as file:
            add(file, number, number + 1)
        time.sleep(pause_s)


def rewrite(count):
    """Write the whole file anew, as some programs do after each line."""
    with created(frames=count) as file:
        file[FRAMES][:] = KNOWN.frames[:count]
        del file[TRANSLATION]
        put(file, TRANSLATION, translation_of(KNOWN)[:count])


def at(folder, name=NAME):
    """Path of a file of a writer."""
    return Path(folder) / name
