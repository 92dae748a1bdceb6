"""Files that a program is writing, has died over, or has not finished copying: told apart by cause.

The writers are programs of their own: HDF5 takes its locks between processes.
"""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from bad_case import FRAMES, INFER, LINK, PROGRAM, SCAN, TRANSLATION, in_process
from known_data import small
from reader_checks import refusal, write

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5 import faults as hdf5_faults
from wnet_edge.io.containers.hdf5.faults import known_fault
from wnet_edge.io.scan_file import find_scan, open_scan

COMPLETE = 36
WRITER = """
import h5py, sys
{code}
print("ready", flush=True)
sys.stdin.read()
"""
HOLD = "file = h5py.File({name!r}, 'r+')"
SWMR = """
with h5py.File({name!r}) as whole:
    frames = whole[{frames!r}][()]
    parts = {{}}
    whole.visititems(lambda name, item: parts.__setitem__(name, (item[()], dict(item.attrs)))
                     if isinstance(item, h5py.Dataset) else None)
file = h5py.File({name!r}, "w", libver="latest")
for name, (value, attributes) in parts.items():
    if getattr(value, "shape", ()) != frames.shape:
        file[name] = value
        file[name].attrs.update(attributes)
data = file.create_dataset({link!r}, (0, 32, 32), "u4", maxshape=(None, 32, 32), chunks=(1, 32, 32))
{mode}
data.resize({count}, axis=0)
data[:] = frames[:{count}]
data.flush()
file.flush()
"""


@contextmanager
def writer(folder, code):
    """A program that has a file open, until the block ends; then it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(code=code)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


def swmr(count, mode="file.swmr_mode = True"):
    return SWMR.format(name=SCAN, frames=FRAMES, link=LINK, count=count, mode=mode)


def refused(path):
    with pytest.raises(ScanError) as caught:
        open_scan(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_file_in_its_writer_is_to_be_waited_for(here):
    with writer(here, HOLD.format(name=SCAN)):
        said = refused(here / SCAN)
    assert said == "is being written by another program; wait until it is closed"
    assert open_scan(here / SCAN).frame_count == COMPLETE  # killed before it wrote anything


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_complete_frames_of_a_swmr_writer_are_read_with_a_warning(killed, here):
    frames = open_scan(here / SCAN).frames[:]
    with writer(here, swmr(COMPLETE)):
        if not killed:
            scan = open_scan(here / SCAN)
            np.testing.assert_array_equal(scan.frames[:], frames)
    if killed:
        scan = open_scan(here / SCAN)
        np.testing.assert_array_equal(scan.frames[:], frames)
    assert scan.notes == ("the file is marked as being written: these are its frames so far",)
    outcome = in_process(here, INFER)
    assert outcome.code == 0, outcome.err
    assert "marked as being written" in outcome.err


def test_incomplete_frames_of_a_swmr_writer_are_to_be_waited_for(here):
    with writer(here, swmr(20)):
        said = refused(here / SCAN)
    assert said == (
        f"{TRANSLATION} holds 36 positions for 20 frames; it is marked as being written: wait "
        "until its writer closes it; if the writer has died, run h5clear -s on a copy"
    )


def test_a_swmr_file_that_is_cut_short_is_refused_at_once(here):
    with writer(here, swmr(COMPLETE)):
        size = (here / SCAN).stat().st_size
        os.truncate(here / SCAN, 2000)
        said = refused(here / SCAN)
    assert said == f"is cut short, 2000 of {size} bytes; copy it again"


def test_a_swmr_file_that_grows_while_it_is_read_keeps_its_first_frames(here):
    frames = open_scan(here / SCAN).frames[:]
    grow = "sys.stdin.readline()\ndata.resize(36, axis=0)\ndata[:] = frames\ndata.flush()\n"
    code = swmr(20) + "print('ready', flush=True)\n" + grow
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(code=code)],
        cwd=here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        source = find_scan(here / SCAN).frames.value
        assert source.shape == (20, 32, 32)
        process.stdin.write("grow\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        np.testing.assert_array_equal(source[:], frames[:20])
        np.testing.assert_array_equal(source[5:400], frames[5:20])
        assert find_scan(here / SCAN).frames.value.shape == (36, 32, 32)
    finally:
        process.kill()
        process.communicate()


def test_a_file_whose_writer_died_names_the_safe_cure(here):
    with writer(here, swmr(COMPLETE, "pass")):
        assert refused(here / SCAN) == (
            "is being written by another program; wait until it is closed"
        )
    assert refused(here / SCAN) == (
        "is marked as being written; wait until its writer closes it; if the writer has died, "
        "run h5clear -s on a copy"
    )


@pytest.fixture
def eiger(tmp_path):
    path, options = write("eiger-master", tmp_path, small())
    return path, options, tmp_path / "scan_data_000002.h5"


def test_eiger_data_file_in_its_writer_is_to_be_waited_for(eiger):
    path, options, data = eiger
    with writer(path.parent, HOLD.format(name=data.name)):
        said = refusal(path, options)
    assert said == (
        "/entry/data/data_000002 links to scan_data_000002.h5:/entry/data/data, which is being "
        "written by another program; wait until it is closed"
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: os.truncate(data, 2000), "which is cut short, 2000 of "),
        (lambda data: os.truncate(data, 0), "which is empty; wait until it is written"),
        (lambda data: data.write_bytes(b"no HDF5 at all"), "which can't be read as HDF5"),
        (lambda data: data.unlink() or data.mkdir(), "which is a folder"),
        (lambda data: data.unlink() or os.mkfifo(data), "which is a device or a pipe, not a file"),
    ],
    ids=["cut short", "empty", "text", "a folder", "a pipe"],
)
def test_eiger_data_file_that_can_not_be_read_says_why(eiger, spoil, words):
    path, options, data = eiger
    spoil(data)
    said = refusal(path, options)
    assert said.startswith(
        "/entry/data/data_000002 links to scan_data_000002.h5:/entry/data/data, which "
    )
    assert words in said


def test_eiger_data_file_without_the_dataset_is_no_missing_file(eiger):
    path, options, data = eiger
    with h5py.File(data, "w") as file:
        file["entry/other"] = 1
    assert "which is not in that file; correct the link" in refusal(path, options)


@pytest.fixture
def virtual(here):
    """The scan's frames put together from a file beside it."""
    with h5py.File(here / SCAN, "r+") as file:
        frames = file[FRAMES][()]
        for name in (LINK, FRAMES):
            if name in file:
                del file[name]
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        layout[:] = h5py.VirtualSource("frames.h5", "data", frames.shape)
        file.create_virtual_dataset(LINK, layout)
    with h5py.File(here / "frames.h5", "w") as file:
        file["data"] = frames
    return here


def test_virtual_frames_in_a_writer_are_to_be_waited_for(virtual):
    with writer(virtual, HOLD.format(name="frames.h5")):
        said = refused(virtual / SCAN)
    assert said == (
        f"{LINK} is assembled from frames.h5, which is being written by another program; "
        "wait until it is closed"
    )


def test_virtual_frames_of_a_swmr_writer_are_to_be_waited_for(virtual):
    code = (
        "file = h5py.File('frames.h5', 'w', libver='latest')\n"
        "file.create_dataset('data', (36, 32, 32), 'u4', maxshape=(None, 32, 32))[:] = 1\n"
        "file.swmr_mode = True"
    )
    with writer(virtual, code):
        said = refused(virtual / SCAN)
    assert said.startswith(
        f"{LINK} is assembled from frames.h5, which is marked as being written; wait until"
    )


def test_virtual_frames_cut_short_are_named(virtual):
    os.truncate(virtual / "frames.h5", 9000)
    assert "from frames.h5, which is cut short, 9000 of " in refused(virtual / SCAN)


LOCKLESS = """
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { errno = atoi(getenv("FLOCK_ERRNO")); return -1; }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("number", ["ENOLCK", "EIO", "EOPNOTSUPP", "EACCES"])
def test_a_disk_without_locks_names_the_setting(number, here, tmp_path):
    (tmp_path / "lockless.c").write_text(LOCKLESS)
    library = tmp_path / "lockless.so"
    source = tmp_path / "lockless.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    program = [str(PROGRAM), "inspect", SCAN]
    env = os.environ | {"LD_PRELOAD": str(library), "FLOCK_ERRNO": str(getattr(errno, number))}
    done = subprocess.run(program, cwd=here, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {SCAN}: lies on a disk without file locks (")
    assert "; set HDF5_USE_FILE_LOCKING=FALSE, and read it only when" in done.stderr
    env["HDF5_USE_FILE_LOCKING"] = "FALSE"
    done = subprocess.run(program, cwd=here, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("user_block", [0, 512, 2048])
def test_a_file_cut_short_is_told_whatever_version_it_is_of(version, user_block, tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver=version, userblock_size=user_block) as file:
        file["data"] = np.arange(1000)
    assert known_fault(path) is None
    size = path.stat().st_size
    os.truncate(path, size - 100)
    fault = known_fault(path)
    assert fault.what == f"is cut short, {size - 100} of {size} bytes"


def test_faults_are_told_of_any_file(tmp_path):
    for content in (b"", b"text", hdf5_faults.HDF5_MAGIC, hdf5_faults.HDF5_MAGIC + bytes(300)):
        (tmp_path / "file.h5").write_bytes(content)
        fault = known_fault(tmp_path / "file.h5")
        assert fault is None or fault.cure
