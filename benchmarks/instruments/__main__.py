"""Scans of instruments that no training has seen.

    python -m benchmarks.instruments simulate FOLDER

writes INSTRUMENT_KIND_COUNTS.cxi, the same without the probe as …_noprobe.cxi, and the true object
as INSTRUMENT_KIND.npz.
"""

import sys
from pathlib import Path

from benchmarks.instruments.scans import write_all


def main() -> None:
    """As the command line says."""
    what, folder = sys.argv[1:]
    {"simulate": write_all}[what](Path(folder))


if __name__ == "__main__":
    main()
