"""Does a training by two processes end where one by one process does? Minutes.

    python benchmarks/two_processes.py [--freeze-norm]

Trains W3 on simulated frames of the embedded probe, by one process and by two under torchrun, and
prints both curves and how far the last validation errors are apart. With frozen batch norms the
curves are the same up to rounding; else each process normalises by its own half of a batch.
"""

import csv
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

EXAMPLE = Path(__file__).parents[1] / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
PROGRAM, TORCHRUN = (Path(sys.executable).with_name(name) for name in ("wnet-edge", "torchrun"))
LAUNCHERS = {
    "one process": (PROGRAM,),
    "two": (TORCHRUN, "--standalone", "--nproc-per-node", "2", "--no-python", PROGRAM),
}
FRAMES, EPOCHS = 1600, 6


def curve(launcher: tuple[str | Path, ...], folder: Path, flags: list[str]) -> list[dict[str, str]]:
    """The rows of a training's CSV."""
    words = ("--probe", EXAMPLE, "--frames-per-epoch", str(FRAMES), "--epochs", str(EPOCHS), *flags)
    checkpoint = folder / "c.safetensors"
    command = [*launcher, "train", "--model", "w3", *words, "-o", checkpoint, "--force"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with checkpoint.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    last = {}
    with TemporaryDirectory() as name:
        for label, launcher in LAUNCHERS.items():
            rows = curve(launcher, Path(name), sys.argv[1:])
            last[label] = rows[-1]
            for row in rows:
                print(label, *(f"{key} {float(row[key]):.6g}" for key in row))  # noqa: T201
    for key in ("validation_phase_mae_rad", "validation_amplitude_mae"):
        one, two = (float(row[key]) for row in last.values())
        print(f"{key}: {two / one - 1:+.2%}")  # noqa: T201
