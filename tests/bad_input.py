"""All cases of bad input, and the table of what is said of each.

`python tests/bad_input.py` prints the table in Markdown, for `docs/bad_input.md`.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import bad_calls
import bad_exports
import bad_scans
import pytest
from bad_case import Case, good_folder, nothing
from tiny import KnownScan

from wnet_edge.embedded import EXAMPLE_SCAN

NEAR_FIELD = Path(__file__).parents[2] / "shared" / "data" / "petra_p25_nearfield.cxi"

EXAMPLES = EXAMPLE_SCAN.parent

CASES: list[Case] = [*bad_scans.CASES, *bad_calls.CASES, *bad_exports.CASES]
if NEAR_FIELD.is_file():
    CASES.append(
        Case(
            "a real near-field scan",
            (NEAR_FIELD.name, "near-field", "neighbouring positions", "far-field"),
            nothing,
            bad_scans.called(str(NEAR_FIELD)),
        )
    )


def error_line(err: str) -> str:
    """The last line on stderr."""
    lines = err.splitlines()
    return lines[-1] if lines else ""


def table(cases: Iterable[Case]) -> Iterator[tuple[str, str]]:
    """Each case's name, and the line that it gives, without the temporary folder."""
    known = KnownScan()
    for case in cases:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / "here"
            folder.mkdir()
            good_folder(folder, known)
            case.spoil(folder)
            try:
                line = error_line(case.run(folder, case.arguments).err)
            except pytest.skip.Exception as reason:
                line = f"not tried: {reason}"
            for outside in (f"{folder}/", f"{temporary}/", f"{NEAR_FIELD.parent}/", f"{EXAMPLES}/"):
                line = line.replace(outside, "")
            yield case.name, line.replace(temporary, "TMPDIR")


def markdown(cases: Iterable[Case]) -> str:
    """The table for the documentation."""
    rows = ["| Bad input | Message |", "|---|---|"]
    rows += [f"| {name} | {_as_code(line)} |" for name, line in table(cases)]
    return "\n".join(rows) + "\n"


def _as_code(line: str) -> str:
    """Text between backticks, however many are in it."""
    line = re.sub("x{20,}", "xx…xx", line).replace("|", "\\|")
    return f"`` {line} ``" if "`" in line else f"`{line}`"


if __name__ == "__main__":
    sys.stdout.write(markdown(CASES))
