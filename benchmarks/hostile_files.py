"""Every hostile file and what refusing it takes: exit code, seconds, peak memory, the line.

    python benchmarks/hostile_files.py [WORD …]

Only cases whose name has one of the words, if any are given. Exit code 1 where a case took more
than 10 s or 1 GB, was not refused, or was refused in more than one line.
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import hostile_arrays  # noqa: E402 - the makers of the tests
import hostile_hdf5  # noqa: E402
from bad_case import good_folder  # noqa: E402
from hostile_case import Hostile, fault_of, measured  # noqa: E402
from tiny import KnownScan  # noqa: E402

CASES: list[Hostile] = [*hostile_hdf5.CASES, *hostile_arrays.CASES]


def main(words: list[str]) -> int:
    """Print the table; how many cases were met badly."""
    known = KnownScan()
    bad = 0
    sys.stdout.write("| file | exit | s | MB | what `wnet-edge` says |\n|---|---|---|---|---|\n")
    for case in CASES:
        if words and not any(word in case.name for word in words):
            continue
        folder = Path(tempfile.mkdtemp(prefix="hostile-"))
        try:
            good_folder(folder, known)
            case.make(folder)
            cost = measured(folder, case.arguments)
        finally:
            shutil.rmtree(folder)
        fault = fault_of(case, cost)
        bad += bool(fault)
        said = f"{fault} {cost.line[:260]}".replace("|", "\\|").strip()
        row = f"| {case.name} | {cost.code} | {cost.seconds:.1f} | {cost.peak_mb:.0f} | `{said}` |"
        sys.stdout.write(row + "\n")
        sys.stdout.flush()
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
