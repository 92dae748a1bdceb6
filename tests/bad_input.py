"""All cases of bad input, and the table of what is said of each.

`python tests/bad_input.py` (`make docs`) writes the table into `docs/bad_input.md`.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import bad_calls
import bad_exports
import bad_scans
from bad_case import Case, good_folder, nothing
from tiny import KnownScan

from wnet_edge.embedded import EXAMPLE_SCAN

PAGE = Path(__file__).parents[1] / "docs" / "bad_input.md"
HEADER = "| Bad input | Message |\n|---|---|\n"
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
    CASES.append(
        Case(
            "adapt to a real near-field scan",
            (NEAR_FIELD.name, "near-field", "far-field"),
            nothing,
            ("adapt", str(NEAR_FIELD), "-o", "near.wnet"),
        )
    )


def error_line(err: str) -> str:
    """The last line on stderr."""
    lines = err.splitlines()
    return lines[-1] if lines else ""


def row(case: Case, folder: Path, line: str) -> str:
    """The row of the table for the line that a case gave in `folder`, which it does not show."""
    temporary = folder.parent
    for outside in (f"{folder}/", f"{temporary}/", f"{NEAR_FIELD.parent}/", f"{EXAMPLES}/"):
        line = line.replace(outside, "")
    return f"| {case.name} | {_as_code(line.replace(str(temporary), 'TMPDIR'))} |\n"


def rows_of_page() -> list[str]:
    """The table as the documentation has it."""
    return PAGE.read_text("utf-8").partition(HEADER)[2].splitlines(keepends=True)


def _measured_row(case: Case, known: KnownScan) -> str:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "here"
        folder.mkdir()
        good_folder(folder, known)
        case.spoil(folder)
        return row(case, folder, error_line(case.run(folder, case.arguments).err))


def _as_code(line: str) -> str:
    """Text between backticks, however many are in it."""
    line = re.sub("x{20,}", "xx…xx", line).replace("|", "\\|")
    return f"`` {line} ``" if "`" in line else f"`{line}`"


if __name__ == "__main__":
    before = PAGE.read_text("utf-8").partition(HEADER)[0]
    known = KnownScan()
    rows = [_measured_row(case, known) for case in CASES]
    PAGE.write_text(before + HEADER + "".join(rows), "utf-8")
