"""Every scan of the set through its instrument's package, against the true object."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instruments.optics import BEAMLINES, InstrumentName
from benchmarks.instruments.scans import ScanName, scan_names
from benchmarks.markdown import head, show
from wnet_edge.comparing.comparison import compare
from wnet_edge.errors import ResultError
from wnet_edge.io.images.object_image_file import read_object_image

PROGRAM = Path(sys.executable).with_name("wnet-edge")
IMAGES = "images"
"""Folder of the images, within that of the scans."""

PASSES = 5
_LEARNT_FROM = ("star", 6)
"""Object and exponent of the counts of the scan that a package is made from."""

_VERDICTS = {True: "trusted", False: "NOT trusted", None: "unknown"}
_COLUMNS = ("correlation", "slope", "R", "verdict")


@dataclass(frozen=True)
class Judged:
    """An image that `infer` has written, and how far it is from the truth.

    Attributes:
        correlation: of its phase with the true object's.
        slope: of the regression; 1 is the right contrast.
        r_factor: None where no frame could be compared.
        trusted: the verdict; None where that is unknown.
    """

    correlation: float
    slope: float
    r_factor: float | None
    trusted: bool | None

    @property
    def cells(self) -> tuple[str, ...]:
        """As in `_COLUMNS`."""
        r_factor = "–" if self.r_factor is None else f"{self.r_factor:.3f}"
        return (
            f"{self.correlation:.3f}",
            f"{self.slope:.2f}",
            r_factor,
            _VERDICTS[self.trusted],
        )


def package_path(folder: Path, name: ScanName) -> Path:
    """Package made from a scan of this instrument, with or without the probe in its file."""
    without = "" if name.with_probe else "_noprobe"
    return folder / f"{name.instrument.value}{without}.wnet"


def command(folder: Path, instrument: InstrumentName, *, with_probe: bool) -> str:
    """What makes that package."""
    name = ScanName(instrument, *_LEARNT_FROM, with_probe)
    optics = "" if with_probe else f" --optics {BEAMLINES[instrument].words}"
    return f"wnet-edge adapt {name.scan(folder)} -o {package_path(folder, name)}{optics}"


def judged(folder: Path, name: ScanName, *options: str) -> Judged | str:
    """A scan through its package and against the truth; what stopped it, if anything did."""
    scan, images = name.scan(folder), folder / IMAGES
    images.mkdir(exist_ok=True)
    result = images / f"{scan.stem}{''.join(options)}.h5"
    call = [PROGRAM, "infer", scan, "--package", package_path(folder, name), *options]
    call += ["-o", result, "--no-image", "--force", "--json"]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    said = json.loads(done.stdout.splitlines()[-1])
    try:
        error = compare(read_object_image(result), read_object_image(name.truth(folder)))
    except ResultError as failure:
        return str(failure)
    return Judged(error.phase_correlation, error.phase_slope, said["r_factor"], said["trusted"])


def print_table(folder: Path) -> None:
    """A row for each scan whose package is there, then what is missing and how it is made."""
    refined = [f"refined: {_COLUMNS[0]}", *_COLUMNS[1:]]
    head("instrument", "probe in the file", "object", "counts", *_COLUMNS, *refined)
    missing: dict[str, str] = {}
    for name in scan_names():
        package, scan = package_path(folder, name), name.scan(folder)
        if not scan.exists():
            missing["scans"] = f"python -m benchmarks.instruments simulate {folder}"
        elif not package.exists():
            missing[package.name] = command(folder, name.instrument, with_probe=name.with_probe)
        else:
            _print_row(folder, name)
    for what, made_by in missing.items():
        print(f"\nmissing: {what}; made by `{made_by}`")  # noqa: T201


def _print_row(folder: Path, name: ScanName) -> None:
    cells: list[str] = []
    for options in ((), ("--refine", str(PASSES))):
        image = judged(folder, name, *options)
        cells += image.cells if isinstance(image, Judged) else (image, *[""] * (len(_COLUMNS) - 1))
    probe = "yes" if name.with_probe else "no"
    show(name.instrument.value, probe, name.kind, f"1e{name.exponent}", *cells)
