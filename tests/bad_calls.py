"""Calls that are bad: other formats, flags, profiles, packages, outputs, and the process itself."""

import io
import os
import pty
import re
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from bad_case import (
    FRAMES,
    INFER,
    PROBE,
    PROGRAM,
    SCAN,
    TRANSLATION,
    WITH_PACKAGE,
    Arguments,
    Case,
    Outcome,
    Spoil,
    all_of,
    as_anybody,
    as_program,
    cut,
    edited,
    nothing,
    with_small_files,
    without,
    write,
)
from bad_scans import called

LONG_SCAN_FRAMES = 20_000
_INTERRUPT_LIMIT_S = 60
_ESCAPES = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]")
_BAR = re.compile(r"\[[#-]+\]")


def npz(name: str, **arrays: np.ndarray) -> Spoil:
    """Write an archive of arrays."""
    return lambda folder: np.savez(folder / name, **arrays)


def npy(name: str, array: np.ndarray) -> Spoil:
    """Write an array."""
    return lambda folder: np.save(folder / name, array)


def npy_header(shape: tuple[int, ...]) -> bytes:
    """An array that claims a shape and ends there."""
    file = io.BytesIO()
    header = {"descr": "<u4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def infer(*flags: str) -> Arguments:
    """`infer` of the usual scan with flags."""
    return (*INFER, *flags)


def _tiff(folder: Path, *, colour: bool) -> None:
    import tifffile

    shape = (8, 8, 3) if colour else (36, 8, 8)
    tifffile.imwrite(
        folder / "scan.tif",
        np.ones(shape, np.uint8 if colour else np.uint16),
        photometric="rgb" if colour else "minisblack",
    )


_FRAMES = np.ones((36, 32, 32), np.uint32)
_OBJECTS = np.array([{"frames": 1}], dtype=object)

FORMATS = [
    Case(
        "NPZ of pickles",
        ("scan.npz", "arr_0", "pickled", "save it again"),
        npz("scan.npz", arr_0=_OBJECTS),
        called("scan.npz"),
    ),
    Case(
        "NPZ of something else",
        ("scan.npz", "frames", "--frames"),
        npz("scan.npz", this=np.ones(3)),
        called("scan.npz"),
    ),
    Case(
        "NPZ cut short",
        ("scan.npz", "NPZ", "copy it again"),
        all_of(npz("scan.npz", arr_0=_FRAMES), cut("scan.npz", 0.7)),
        called("scan.npz"),
    ),
    Case(
        "a zip of no arrays",
        ("scan.npz", "frames", "--frames"),
        lambda folder: zipfile.ZipFile(folder / "scan.npz", "w").writestr("a.txt", "a"),
        called("scan.npz"),
    ),
    Case(
        "NPY of pickles",
        ("scan.npy", "pickled", "save it again"),
        npy("scan.npy", _OBJECTS),
        called("scan.npy"),
    ),
    Case(
        "NPY that claims 2^60 counts",
        ("scan.npy", "write 1 to"),
        write("scan.npy", npy_header((2**40, 1024, 1024))),
        called("scan.npy"),
    ),
    Case(
        "NPY cut short",
        ("scan.npy", "copy it again"),
        all_of(npy("scan.npy", _FRAMES), cut("scan.npy", 0.7)),
        called("scan.npy"),
    ),
    Case(
        "NPY, a raster without a step",
        ("scan.npy", "--raster goes with --step-m", "--step-m"),
        npy("scan.npy", _FRAMES),
        called("scan.npy", "--raster", "6x6"),
    ),
    Case(
        "TIFF cut short",
        ("scan.tif", "copy it again"),
        all_of(lambda folder: _tiff(folder, colour=False), cut("scan.tif", 0.5)),
        called("scan.tif"),
    ),
    Case(
        "a coloured TIFF",
        ("scan.tif", "pages are", "counts alone"),
        lambda folder: _tiff(folder, colour=True),
        called("scan.tif"),
    ),
]

FLAGS = [
    Case("--frames of no dataset", (SCAN, "/gone", "dataset"), nothing, infer("--frames", "/gone")),
    Case(
        "--frames of a group",
        (SCAN, "/entry_1", "dataset"),
        nothing,
        infer("--frames", "/entry_1"),
    ),
    Case(
        "--positions of no file",
        ("gone.csv", SCAN),
        nothing,
        infer("--positions", "gone.csv"),
    ),
    Case(
        "--positions of no dataset",
        (SCAN, "/gone", "dataset"),
        nothing,
        infer("--positions", f"{SCAN}:/gone"),
    ),
    Case(
        "--positions of a scan without positions",
        ("other.cxi", "no positions", "name the dataset"),
        all_of(
            lambda folder: (folder / "other.cxi").write_bytes((folder / SCAN).read_bytes()),
            lambda folder: _without_positions(folder / "other.cxi"),
        ),
        infer("--positions", "other.cxi"),
    ),
    Case(
        "--positions without a unit",
        ("positions.csv", "no unit", "--positions-unit"),
        write("positions.csv", "row,column\n" + "1,2\n" * 36),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions in no unit",
        ("positions.csv", "'ell'", "--positions-unit"),
        write("positions.csv", "row,column\n" + "1,2\n" * 36),
        infer("--positions", "positions.csv", "--positions-unit", "ell"),
    ),
    Case(
        "--positions of other columns",
        ("positions.csv", "time, temperature", "write x and y"),
        write("positions.csv", "time,temperature\n" + "1,2\n" * 36),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions with a word",
        ("positions.csv", "line 3", "write x and y"),
        write("positions.csv", "x_um,y_um\n1,2\n3,four\n"),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions, a line short",
        ("positions.csv", "35 positions for 36 frames", "--positions"),
        write("positions.csv", "x_um,y_um\n" + "".join(f"{n},{n}\n" for n in range(35))),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions, a pipe",
        ("pipe", "device or a pipe", "save it as a file"),
        lambda folder: os.mkfifo(folder / "pipe"),
        infer("--positions", "pipe"),
        as_program,
    ),
    Case(
        "--positions, empty",
        ("positions.csv", "empty"),
        write("positions.csv", ""),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions, a picture",
        ("positions.csv", "is not text", "name a table"),
        write("positions.csv", b"\x89PNG\r\n\x1a\n" + bytes(64)),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions with unnamed columns",
        ("positions.csv", "3 columns without names", "--positions positions.csv:2,3"),
        write("positions.csv", "".join(f"{n} {n % 6} {n // 6}\n" for n in range(36))),
        infer("--positions", "positions.csv", "--positions-unit", "um"),
    ),
    Case(
        "--positions with decimal commas",
        ("positions.csv", "2 names", "4 fields", "decimal marks"),
        write("positions.csv", "x_um,y_um\n" + "1,5,0,5\n" * 36),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--positions of one frame 36 times",
        ("positions.csv", "frame number 0 36 times", "counted from 0"),
        write("positions.csv", "frame,x_um,y_um\n" + "0,1,2\n" * 36),
        infer("--positions", "positions.csv"),
    ),
    Case(
        "--frames-range beyond the scan",
        (SCAN, "has no frames 30:40, it has 36", "within 0:36"),
        nothing,
        infer("--frames-range", "30:40"),
    ),
    Case(
        "--frames-axes of unknown axes",
        (SCAN, "/data_1/data", "--frames-axes NHX", "R, C, H, W"),
        nothing,
        infer("--frames-axes", "NHX"),
    ),
    Case("--probe of no file", ("gone.npy", SCAN), nothing, infer("--probe", "gone.npy")),
    Case(
        "--probe of frames",
        (FRAMES, "not complex", "name a probe"),
        nothing,
        infer("--probe", FRAMES),
    ),
    Case(
        "--mask without a dataset",
        (SCAN, "FILE:DATASET"),
        nothing,
        infer("--mask", SCAN),
    ),
    Case(
        "--mask of another shape",
        ("mask.npy", "(8, 8)", "mask"),
        npy("mask.npy", np.zeros((8, 8), np.uint8)),
        infer("--mask", "mask.npy"),
    ),
    Case(
        "--beam-centre off the detector",
        (SCAN, "--beam-centre", "row 500, column 500", "32 × 32 px"),
        nothing,
        infer("--beam-centre", "500,500"),
    ),
    Case(
        "--step-m without a raster",
        (SCAN, "--step-m", "--raster"),
        nothing,
        infer("--step-m", "1e-7"),
    ),
    Case(
        "--raster-order without a raster",
        (SCAN, "--raster-order goes with --step-m"),
        nothing,
        infer("--raster-order", "snake"),
    ),
    Case(
        "--raster of another size than the frames",
        (SCAN, "raster of 5 × 5", "25 positions for 36 frames"),
        nothing,
        infer("--raster", "5x5", "--step-m", "2.5e-7"),
    ),
    Case(
        "--raster of 10¹⁰ frames",
        (SCAN, "raster of 100000 × 100000"),
        nothing,
        infer("--raster", "100000x100000", "--step-m", "1e-7"),
    ),
    Case(
        "--raster below zero",
        (SCAN, "raster of -6 × -6"),
        nothing,
        infer("--raster", "-6x-6", "--step-m", "1e-7"),
    ),
    Case(
        "--distance-m in mm",
        (SCAN, "--distance-m", "5000 m"),
        nothing,
        infer("--distance-m", "5000"),
    ),
]


def _without_positions(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["/entry_1/data_1/translation"], file[TRANSLATION]


def profile(name: str, text: str, *words: str) -> Case:
    """A case of a profile that says `text`."""
    return Case(
        f"profile {name}",
        ("26id.toml", *words),
        write("26id.toml", text),
        infer("--profile", "26id.toml"),
    )


PROFILES = [
    Case(
        "profile that is not there",
        ("26id.toml", "no such file", "name a TOML file"),
        nothing,
        infer("--profile", "26id.toml"),
    ),
    Case(
        "profile, a folder",
        ("folder", "is a folder", "name a TOML file"),
        lambda f: (f / "folder").mkdir(),
        infer("--profile", "folder"),
    ),
    Case(
        "profile, a pipe",
        ("pipe", "device or a pipe", "name a TOML file"),
        lambda folder: os.mkfifo(folder / "pipe"),
        infer("--profile", "pipe"),
        as_program,
    ),
    profile("that is broken", "energy-ev = = 3\n", "can't be read as TOML", "name = value"),
    profile("too large", "#" * (1 << 21), "too large", "TOML"),
    Case(
        "profile, not text",
        ("26id.toml", "can't be read as TOML", "name = value"),
        write("26id.toml", b"\xff\xfe\x00\x01"),
        infer("--profile", "26id.toml"),
    ),
    profile("of an unknown option", "voltage = 3\n", "'voltage'", "energy_ev"),
    profile("of a word for a number", 'energy-ev = "ten"\n', "energy-ev", "ten"),
    profile("of a list for a number", "energy-ev = [1, 2]\n", "energy-ev"),
    profile("of a truth value for a number", "energy-ev = true\n", "energy-ev"),
    profile("of a table for a path", "positions = {file = 1}\n", "positions"),
    profile("of three numbers for two", "beam-centre = [1, 2, 3]\n", "beam-centre"),
    profile("of an unknown choice", 'zero-frequency = "middle"\n', "zero-frequency", "corner"),
    profile("of an unknown orientation", "orientation = 90\n", "orientation", "auto"),
]

PACKAGES = [
    Case(
        "no such package",
        ("gone.wnet", "no such file"),
        nothing,
        ("infer", SCAN, "--package", "gone.wnet"),
    ),
    Case(
        "no embedded package of that name",
        ("w9", "no embedded package", ".wnet"),
        nothing,
        ("infer", SCAN, "--package", "w9"),
    ),
    Case(
        "a scan as package",
        ("scan.cxi", "not an intact package"),
        nothing,
        ("infer", SCAN, "--package", f"./{SCAN}"),
    ),
    Case("package cut short", ("known.wnet", "not an intact package"), cut("known.wnet", 0.5)),
    Case("empty package", ("known.wnet", "not an intact package"), write("known.wnet", b"")),
    Case(
        "package, a folder",
        ("folder.wnet", "folder"),
        lambda folder: (folder / "folder.wnet").mkdir(),
        ("infer", SCAN, "--package", "folder.wnet"),
    ),
    Case(
        "package, a pipe",
        ("pipe.wnet", "pipe"),
        lambda folder: os.mkfifo(folder / "pipe.wnet"),
        ("infer", SCAN, "--package", "pipe.wnet"),
        as_program,
    ),
    Case(
        "key to trust, a pipe",
        ("pipe", "device or a pipe", "name a key"),
        lambda folder: os.mkfifo(folder / "pipe"),
        infer("--trust", "pipe"),
        as_program,
    ),
    Case(
        "a precision that the package lacks",
        ("known.wnet", "int8", "fp32"),
        nothing,
        infer("--precision", "int8"),
    ),
    Case(
        "a package of another instrument",
        (SCAN, "w3", "window of 128 px", "wnet-edge adapt"),
        nothing,
        ("infer", SCAN),
    ),
]


def _frames_in_another_file(folder: Path) -> None:
    """As detectors write them: the scan only links to its frames."""
    with edited(folder) as file, h5py.File(folder / "raw.h5", "w") as raw:
        raw["frames"] = file[FRAMES][()]
        del file[FRAMES]
        file[FRAMES] = h5py.ExternalLink("raw.h5", "/frames")


OUTPUTS = [
    Case("no such output folder", ("none/a.h5", "create it"), nothing, infer("-o", "none/a.h5")),
    Case(
        "picture's folder is missing",
        ("none/a.png", "create it"),
        nothing,
        infer("--image", "none/a.png"),
    ),
    Case(
        "picture is a folder",
        ("folder", "is a folder", "name a file"),
        lambda folder: (folder / "folder").mkdir(),
        infer("--image", "folder"),
    ),
    Case(
        "output exists",
        ("scan.wnet.h5", "exists already", "--force"),
        write("scan.wnet.h5", "mine"),
    ),
    Case(
        "picture exists",
        ("scan.wnet.png", "exists already", "--force"),
        write("scan.wnet.png", "mine"),
    ),
    Case(
        "output is the scan",
        (SCAN, "is a scan to read", "another output"),
        nothing,
        infer("--force", "-o", SCAN),
    ),
    Case(
        "output is the package",
        ("known.wnet", "another output"),
        nothing,
        infer("--force", "-o", "known.wnet"),
    ),
    Case(
        "output holds frames that the scan links to",
        ("raw.h5", "holds data of scan.cxi", "another output"),
        _frames_in_another_file,
        infer("--force", "-o", "raw.h5"),
    ),
    Case(
        "output is the profile",
        ("26id.toml", "read by this command", "another output"),
        write("26id.toml", "distance-m = 0.9\n"),
        infer("--force", "--profile", "26id.toml", "-o", "26id.toml"),
    ),
    Case(
        "one file for both outputs",
        ("a", "written twice", "apart"),
        nothing,
        infer("-o", "a", "--image", "a"),
    ),
    Case(
        "output is a pipe",
        ("pipe", "device or a pipe", "name"),
        lambda folder: os.mkfifo(folder / "pipe"),
        infer("--force", "-o", "pipe"),
        as_program,
    ),
    Case(
        "output's name too long",
        (".h5", "name"),
        nothing,
        infer("-o", "x" * 300 + ".h5"),
    ),
    Case(
        "output folder read-only",
        ("kept/a.h5", "can't be written", "name another"),
        lambda folder: (folder / "kept").mkdir(mode=0o500),
        infer("-o", "kept/a.h5"),
        as_anybody,
    ),
    Case(
        "folder for several scans is a file",
        ("file", "is not a folder", "folder"),
        all_of(write("file", "mine"), write("b.cxi", "b")),
        ("infer", SCAN, "b.cxi", *WITH_PACKAGE, "-o", "file"),
    ),
]


def on_full_disk(folder: Path, arguments: Arguments) -> Outcome:
    """Outputs go to a file system of 16 kB."""
    small = folder.parent / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        outcome = as_program(folder, arguments)
        left = [path.name for path in small.iterdir()]
        assert left == [], f"left on the full disk: {left}"
    finally:
        subprocess.run(["umount", small], check=True)
        small.rmdir()
    return outcome


def interrupted(folder: Path, arguments: Arguments) -> Outcome:
    """The program, sent SIGINT once its progress bar moves."""
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=its_end, text=True
    ) as process:
        os.close(its_end)
        said = _read(terminal, lambda said: said.count(b"%") > 1)
        process.send_signal(signal.SIGINT)
        said += _read(terminal, lambda _: False)
        out, _ = process.communicate(timeout=_INTERRUPT_LIMIT_S)
    os.close(terminal)
    lines = re.split(r"[\r\n]+", _ESCAPES.sub("", said.decode()))
    shown = [f"{line}\n" for line in lines if line.strip() and not _BAR.search(line)]
    return Outcome(process.returncode, out, "".join(shown))


def _read(terminal: int, is_enough: Callable[[bytes], bool]) -> bytes:
    """What a program writes to its terminal, until that is enough or the program ends."""
    said = b""
    while not is_enough(said):
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux: the program has closed it
            return said
        if not more:
            return said
        said += more
    return said


def _spread(folder: Path) -> None:
    """Positions so far apart that the image takes more room than the patches."""
    with edited(folder) as file:
        file[TRANSLATION][...] *= 5


def _long_scan(folder: Path) -> None:
    """The same scan so often that it takes a while."""
    with edited(folder) as file:
        frames, positions = file[FRAMES][()], file[TRANSLATION][()]
        del file[FRAMES], file[TRANSLATION]
        times = -(-LONG_SCAN_FRAMES // len(frames))
        shape = (times * len(frames), *frames.shape[1:])
        stored = file.create_dataset(FRAMES, shape, "u2", chunks=frames.shape, compression=1)
        for start in range(0, shape[0], len(frames)):
            stored[start : start + len(frames)] = frames
        file[TRANSLATION] = np.tile(positions, (times, 1))


PROCESS = [
    Case(
        "full disk",
        ("../small/a.h5", "can't be written", "No space left", "free disk space"),
        nothing,
        infer("-o", "../small/a.h5"),
        on_full_disk,
    ),
    Case(
        "disk full while writing the picture",
        ("../small/a.png", "can't be written", "No space left", "free disk space"),
        nothing,
        infer("--image", "../small/a.png"),
        on_full_disk,
    ),
    Case(
        "no room for patches",
        ("no room", "patches", "TMPDIR"),
        nothing,
        INFER,
        with_small_files(20_000),
    ),
    Case(
        "no room for the result",
        ("scan.wnet.h5", "can't be written", "free disk space"),
        _spread,
        INFER,
        with_small_files(75_000),
    ),
    Case(
        "interrupted half-way",
        ("interrupted", SCAN),
        _long_scan,
        infer("--batch-size", "1"),
        interrupted,
    ),
]

WORKSHOP = [
    Case(
        "simulate --probe of a scan without a probe",
        (SCAN, "no probe", "name a file"),
        without(PROBE),
        ("simulate", "-o", "simulated.cxi", "--probe", SCAN),
    ),
    Case(
        "simulate --probe of a small window",
        (SCAN, "32 px", "64 px", "name a probe"),
        nothing,
        ("simulate", "-o", "simulated.cxi", "--probe", SCAN),
    ),
    Case(
        "train --probe of a scan without a probe",
        (SCAN, "no probe", "name a file"),
        without(PROBE),
        ("train", "--model", "w3", "-o", "w3.safetensors", "--probe", SCAN),
    ),
    Case(
        "train --probe without a geometry",
        (SCAN, "photon energy", "--energy-ev"),
        without(
            "/entry_1/instrument_1/source_1/energy", "/entry_1/instrument_1/source_1/wavelength"
        ),
        ("train", "--model", "w3", "-o", "w3.safetensors", "--probe", SCAN),
    ),
    Case(
        "train --data without labels",
        (SCAN, "no labels", "simulate"),
        nothing,
        ("train", "--model", "w3", "-o", "w3.safetensors", "--data", SCAN),
    ),
    Case(
        "adapt to a scan without a probe",
        (SCAN, "no probe", "--probe FILE", "--optics zone-plate:"),
        without(PROBE),
        ("adapt", SCAN),
    ),
    Case(
        "adapt to a scan without a geometry",
        (SCAN, "energy, distance and detector pixel", "--distance-m"),
        without("/entry_1/instrument_1/detector_1/distance"),
        ("adapt", SCAN),
    ),
    Case(
        "adapt to frames too small for any network",
        (SCAN, "frames of 32 px are too small", "64 px", "record more"),
        nothing,
        ("adapt", SCAN),
    ),
    Case(
        "adapt where an earlier run was interrupted",
        ("scan.safetensors", "is there already", "--resume", "--force"),
        write("scan.safetensors", "weights"),
        ("adapt", SCAN),
    ),
    Case(
        "adapt to no package file",
        ("a.h5", "must end in .wnet"),
        nothing,
        ("adapt", SCAN, "-o", "a.h5"),
    ),
    Case(
        "adapt --resume of what is no checkpoint",
        ("scan.safetensors", "not a wnet-edge checkpoint"),
        write("scan.safetensors", "weights"),
        ("adapt", SCAN, "--resume"),
    ),
    Case(
        "export --checkpoint of a pipe",
        ("pipe", "device or a pipe", "name a checkpoint"),
        lambda folder: os.mkfifo(folder / "pipe"),
        ("export", "--checkpoint", "pipe", "-o", "a.wnet"),
        as_program,
    ),
    Case(
        "simulate into the scan with the probe",
        (SCAN, "read by this command", "another output"),
        nothing,
        ("simulate", "--probe", SCAN, "-o", SCAN, "--force"),
    ),
    Case("inspect of a cut scan", (SCAN, "cut short"), cut(SCAN, 0.6), ("inspect", SCAN)),
    Case("inspect of text", (SCAN, "is not a scan file"), write(SCAN, "hello"), ("inspect", SCAN)),
    Case("verify of a scan", (SCAN, "not an intact package"), nothing, ("verify", f"./{SCAN}")),
]

CASES = [*FORMATS, *FLAGS, *PROFILES, *PACKAGES, *OUTPUTS, *PROCESS, *WORKSHOP]
