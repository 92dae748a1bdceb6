"""One case of bad input: what is spoiled, how `wnet-edge` is called, what its one line must say.

The folder in which a case runs holds a good scan, `scan.cxi`, and the package that knows it,
`known.wnet`; a case spoils the scan or puts another file beside it.
"""

import contextlib
import ctypes
import io
import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny import KnownScan

from wnet_edge.cli.main import main
from wnet_edge.package.packing import write_package

SCAN = "scan.cxi"
WITH_PACKAGE = ("--package", "known.wnet", "--provider", "cpu")
INFER = ("infer", SCAN, *WITH_PACKAGE)

DETECTOR = "/entry_1/instrument_1/detector_1"
SOURCE = "/entry_1/instrument_1/source_1"
FRAMES = f"{DETECTOR}/data"
LINK = "/entry_1/data_1/data"
TRANSLATION = "/entry_1/sample_1/geometry_1/translation"
PROBE = f"{SOURCE}/illumination"

PROGRAM = Path(sys.executable).with_name("wnet-edge")
LIMIT_S = 60
TIMED_OUT = 124
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


@dataclass(frozen=True)
class Outcome:
    """What a call of `wnet-edge` ended in."""

    code: int
    out: str
    err: str


Arguments = tuple[str, ...]
Spoil = Callable[[Path], None]
Run = Callable[[Path, Arguments], Outcome]


def in_process(folder: Path, arguments: Arguments) -> Outcome:
    """The command line, called from here: for all that is not about the process."""
    out, err = io.StringIO(), io.StringIO()
    before, argv = Path.cwd(), sys.argv
    os.chdir(folder)
    sys.argv = ["wnet-edge", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        return Outcome(int(end.code or 0), out.getvalue(), err.getvalue())
    except Exception:
        return Outcome(1, out.getvalue(), err.getvalue() + traceback.format_exc())
    finally:
        sys.argv = argv
        os.chdir(before)
    raise AssertionError("main always exits")


def as_program(folder: Path, arguments: Arguments, prepare: Callable[[], None] | None = None):
    """The installed program in a process of its own; `prepare` is called in it first."""
    try:
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(folder.parent)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            preexec_fn=prepare,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(TIMED_OUT, "", f"hung for {LIMIT_S} s")
    return Outcome(done.returncode, done.stdout, done.stderr)


def as_anybody(folder: Path, arguments: Arguments) -> Outcome:
    """The program without root's power over permissions, where the tests run as root."""

    def give_up() -> None:
        if os.geteuid() == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            for power in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
                if libc.prctl(_PR_CAPBSET_DROP, power, 0, 0, 0) != 0:
                    raise OSError(ctypes.get_errno(), "can't give root's power up")

    if not sys.platform.startswith("linux") and os.geteuid() == 0:
        pytest.skip("root can read everything here")
    return as_program(folder, arguments, give_up)


def with_small_files(limit_bytes: int) -> Run:
    """The program where no file may grow beyond `limit_bytes`, as on a disk that is full then."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return lambda folder, arguments: as_program(folder, arguments, limit)


@dataclass(frozen=True)
class Case:
    """Bad input, and what has to be said of it.

    Attributes:
        name: of the case, for the table.
        words: what the one line must have: file, dataset or flag, cure.
        spoil: makes the input bad.
        arguments: of `wnet-edge`.
        run: calls it.
    """

    name: str
    words: tuple[str, ...]
    spoil: Spoil
    arguments: Arguments = INFER
    run: Run = in_process


def good_folder(folder: Path, known: KnownScan) -> None:
    """A scan and the package that knows it."""
    known.write(folder / SCAN)
    write_package(folder / "known.wnet", known.content())


def nothing(folder: Path) -> None:
    """Leave all as it is: the call itself is bad."""


def all_of(*spoils: Spoil) -> Spoil:
    """One after the other."""

    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


@contextmanager
def edited(folder: Path, name: str = SCAN) -> Iterator[h5py.File]:
    """The HDF5 file, to be changed."""
    with h5py.File(folder / name, "r+") as file:
        yield file


def put(dataset: str, value, units: str | None = None, **creation) -> Spoil:
    """Put another dataset in the place of one in the scan."""

    def spoil(folder: Path) -> None:
        with edited(folder) as file:
            if dataset in file:
                del file[dataset]
            file.create_dataset(dataset, data=value, **creation)
            if units is not None:
                file[dataset].attrs["units"] = units

    return spoil


def changed(dataset: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Put what `change` makes of a dataset's values in its place."""

    def spoil(folder: Path) -> None:
        with edited(folder) as file:
            value = change(file[dataset][()])
        put(dataset, value)(folder)

    return spoil


def without(*names: str) -> Spoil:
    """Take datasets or groups out of the scan."""

    def spoil(folder: Path) -> None:
        with edited(folder) as file:
            for name in names:
                del file[name]

    return spoil


def write(name: str, content: bytes | str) -> Spoil:
    """Write a file, or write over one."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data) and None


def cut(name: str, share: float) -> Spoil:
    """Keep only the first part of a file."""

    def spoil(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(share * len(whole))])

    return spoil
