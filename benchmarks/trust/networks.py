"""Networks from hardly trained to good, for each probe: trained, exported, kept in a folder.

    python -m benchmarks.trust networks [FOLDER]

goes on where it stopped. W3 throughout; the good one of the measured probe is the zoo's, those of
the others start from its weights.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import wnet_edge
from benchmarks.trust.probes import SCAN_247, ProbeName, Sample, write_scan

PROGRAM = Path(sys.executable).with_name("wnet-edge")
ZOO = Path(wnet_edge.__file__).parent / "zoo" / "w3-cnm26id.safetensors"


@dataclass(frozen=True)
class Quality:
    """How long a network was trained: epochs of so many frames, from the zoo's weights or none."""

    name: str
    epochs: int
    frames: int
    from_zoo: bool = False


QUALITIES = (
    Quality("640 frames", 1, 640),
    Quality("2 × 640", 2, 640),
    Quality("4,000", 1, 4000),
    Quality("2 × 4,000", 2, 4000),
    Quality("good", 6, 10_000, from_zoo=True),
)


def package_path(folder: Path, name: ProbeName, quality: Quality) -> Path:
    """Where the network of a probe and a quality lies."""
    return folder / f"{name.value}-{quality.epochs}x{quality.frames}.wnet"


def scan_path(folder: Path, name: ProbeName, sample: Sample) -> Path:
    """Where the scan of a sample under a probe lies."""
    return folder / f"{name.value}-{sample.value}.cxi"


def make_networks(folder: Path) -> None:
    """Train and export all that is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ProbeName:
        for sample in Sample:
            path = scan_path(folder, name, sample)
            if not path.exists():
                write_scan(path, name, sample)
    for quality in QUALITIES:
        for name in ProbeName:
            package = package_path(folder, name, quality)
            if not package.exists():
                _make(folder, name, quality, package)


def _make(folder: Path, name: ProbeName, quality: Quality, package: Path) -> None:
    calibration = scan_path(folder, name, Sample.CALIBRATION)
    checkpoint = package.with_suffix(".safetensors")
    if quality.from_zoo and name is ProbeName.MEASURED:
        checkpoint = ZOO
    elif not _done(checkpoint, quality):
        probe = SCAN_247 if name is ProbeName.MEASURED else calibration
        start = ["--init", str(ZOO), "--force"] if quality.from_zoo else ["--resume"]
        _run(
            *["train", "--model", "w3", "--probe", str(probe), "--epochs", str(quality.epochs)],
            *["--frames-per-epoch", str(quality.frames), "-o", str(checkpoint), *start],
        )
    measured = ["--calibration", str(SCAN_247)] if name is ProbeName.MEASURED else []
    simulated = ["--calibration", str(calibration)]
    _run(
        *["export", "--checkpoint", str(checkpoint), "--precision", "fp32", "--allow-untrained"],
        *(measured or simulated),
        *["-o", str(package)],
    )


def _done(checkpoint: Path, quality: Quality) -> bool:
    curve = checkpoint.with_suffix(".csv")
    return checkpoint.exists() and len(curve.read_text().splitlines()) == quality.epochs + 1


def _run(*words: str) -> None:
    subprocess.run([PROGRAM, *words], check=True)
