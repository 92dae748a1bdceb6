"""Scans of instruments and objects that no training has seen, and packages adapted to them.

    python -m benchmarks.instruments simulate FOLDER
    python -m benchmarks.instruments table FOLDER

`simulate` writes INSTRUMENT_KIND_COUNTS.cxi (pinhole_star_1e6.cxi), the same without the probe as
…_noprobe.cxi, and the true object as INSTRUMENT_KIND.npz, which `wnet-edge compare` reads; scans
that are there are kept. One package for each instrument is then made from its star alone,

    wnet-edge adapt FOLDER/INSTRUMENT_star_1e6.cxi -o FOLDER/INSTRUMENT.wnet

and from …_noprobe.cxi to INSTRUMENT_noprobe.wnet with `--optics` in words (`optics.BEAMLINES`). Of
packages that are missing, `table` prints the whole command. It runs `wnet-edge infer` on every scan
whose package is there, without and with --refine 5, and compares the images (kept in FOLDER/images)
with the true object.
"""

import sys
from pathlib import Path

from benchmarks.instruments.scans import write_all
from benchmarks.instruments.table import print_table


def main() -> None:
    """As the command line says."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("simulate", "table"):
        sys.exit(__doc__)
    what, folder = sys.argv[1:]
    {"simulate": write_all, "table": print_table}[what](Path(folder))


if __name__ == "__main__":
    main()
