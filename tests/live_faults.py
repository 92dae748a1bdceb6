"""What goes wrong while a scan runs, what becomes of it, and how that is held.

`ROWS` is the table of docs/live.md, which `python tests/live_faults.py` (`make docs`) writes there.
tests/live/test_faults_*.py make each fault happen, from its source to the result file, and hold the
row's account: every frame that was sent is in the image or counted as lost.
"""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import wnet_edge
from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.io.images.result_file import Result, read_result
from wnet_edge.io.scan_file import open_scan
from wnet_edge.live.source import Loss

PAGE = Path(__file__).parents[1] / "docs" / "live.md"
HEADER = (
    "| Fault | Over | Sent = in the image + lost | What becomes of the scan |\n|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        fault: what goes wrong.
        over: sources by which it is tested.
        account: frames sent = in the image + lost, of each scan; letters are numbers that vary.
        becomes: what becomes of the scan, and what is told.
    """

    fault: str
    over: str
    account: str | tuple[str, ...]
    becomes: str

    @property
    def line(self) -> str:
        """In the page."""
        return f"| {self.fault} | {self.over} | {'; '.join(self.accounts)} | {self.becomes} |\n"

    @property
    def accounts(self) -> tuple[str, ...]:
        """Of the scans."""
        return (self.account,) if isinstance(self.account, str) else self.account

    def says(self, sent: int, processed: int, lost: Mapping[str, int]) -> bool:
        """Whether this is the account of one of its scans."""
        told = f"{sent} = {processed}" + "".join(f" + {n} {reason}" for reason, n in lost.items())
        patterns = [re.sub(r"\b[nm]\b", r"[1-9]\\d*", re.escape(one)) for one in self.accounts]
        assert any(re.fullmatch(pattern, told) for pattern in patterns), (told, self.accounts)
        return True


ROWS = {
    "gaps": Row(
        "frames that never arrive",
        "PV, ZeroMQ",
        "160 = 157 + 3 never received",
        "Gaps in the numbers tell.",
    ),
    "disorder": Row(
        "frames in another order",
        "PV, ZeroMQ",
        "160 = 160",
        "The same image; a frame is waited for until 256 (ZeroMQ: 64) later ones have come.",
    ),
    "duplicates": Row(
        "frames that come twice",
        "PV, ZeroMQ",
        "164 = 160 + 4 received twice",
        "The first one is taken.",
    ),
    "shape": Row(
        "frames of another shape",
        "PV, ZeroMQ",
        "160 = 155 + 5 of another shape or type, or damaged",
        "The first frame sets the shape.",
    ),
    "type": Row(
        "frames of another type, or packed in a way that is not known",
        "PV, ZeroMQ",
        "160 = 155 + 5 of another shape or type, or damaged",
        "What they are is told.",
    ),
    "nan pixels": Row(
        "NaN in pixels",
        "PV, ZeroMQ, file",
        "160 = 160",
        "These pixels are left out, each in its frame; the result says how many.",
    ),
    "nan frames": Row(
        "frames of nothing but NaN",
        "PV, ZeroMQ, file",
        "160 = 157 + 3 without usable counts: dark, saturated or NaN",
        "They are left out, as `infer` leaves them out.",
    ),
    "no position": Row(
        "frames without a position",
        "PV, ZeroMQ, file",
        "160 = 154 + 6 without a position",
        "From files they are taken once their position is written.",
    ),
    "late positions": Row(
        "positions that come late",
        "PV, file",
        "160 = 160",
        "A frame waits 2 s for the position of a second PV, and in a file until its position is "
        "written.",
    ),
    "dead position PV": Row(
        "a position PV that dies",
        "PV",
        "160 = 80 + 80 without a position",
        "Frames wait 2 s, then they are lost.",
    ),
    "dead position PV by time": Row(
        "the same, by time stamp",
        "PV",
        "160 = 80 + 80 without a position",
        "How far the nearest position is in time is told.",
    ),
    "restart": Row(
        "a server that is restarted",
        "PV",
        "160 = 150 + 10 never received",
        "The scan goes on, if frames come again within `--idle-s`.",
    ),
    "restarted detector": Row(
        "a detector that is restarted and begins anew",
        "PV, ZeroMQ",
        ("80 = 80", "160 = 80 + 80 never received", "160 = 160"),
        "The scan ends with what has come, the next one has a result of its own. ZeroMQ says how "
        "many frames will come: these are lost then.",
    ),
    "clock": Row(
        "a clock that jumps by hours",
        "PV, ZeroMQ",
        "160 = 160",
        "Latency is counted from reception where time stamps make no sense. Paired by time, frames "
        "find their positions as soon as both are stamped by the new clock.",
    ),
    "behind, drop-oldest": Row(
        "a network that is behind, `--when-behind drop-oldest`",
        "PV, ZeroMQ",
        "481 = n + m dropped, as the network was behind",
        "Frames that wait give way to new ones.",
    ),
    "behind, drop-newest": Row(
        "the same, `drop-newest`",
        "PV, ZeroMQ",
        "481 = n + m dropped, as the network was behind",
        "New frames are dropped while the queue is full.",
    ),
    "behind, block": Row(
        "the same, `block`",
        "PV, ZeroMQ",
        "481 = 481",
        "The detector waits (ZeroMQ), or the PV's server keeps up to 2,000 frames; beyond, they "
        "are never received.",
    ),
    "killed": Row(
        "wnet-edge is killed (-9) and started again",
        "PV, ZeroMQ",
        "481 = n + m never received",
        "The killed one's result is whole, of at most `--save-s` before, and says that the scan "
        "was running. The second one takes what is still to come and counts the rest as lost; its "
        "result has another name.",
    ),
    "killed, file": Row(
        "the same, following a file",
        "file",
        "481 = 481",
        "The second one takes the scan from its beginning, with `--force` or another folder.",
    ),
    "disk full": Row(
        "a disk that is full while the scan runs",
        "PV",
        "160 = 160",
        "One warning, and the result of before stays; the result is written again once there is "
        "room.",
    ),
    "disk full at the end": Row(
        "a disk that is full at the end",
        "PV",
        "160 = 160",
        "The command fails and says so; the result of before stays.",
    ),
    "unheard": Row(
        "a standard output that is full or closed (`--json`)",
        "PV",
        "160 = 160",
        "One warning; the result is written all the same, then the command fails.",
    ),
    "viewer": Row(
        "a viewer of the image's PVs that stops reading",
        "PV",
        "160 = 160",
        "It misses looks; nobody waits for it.",
    ),
    "second client": Row(
        "a second client of the detector",
        "ZeroMQ",
        "160 = n + m never received",
        "It takes every other frame; a warning says so.",
    ),
    "dead writer": Row(
        "a writer that dies",
        "file",
        "90 = 90",
        "The scan ends after `--idle-s`; the reason says that the file is still marked as being "
        "written.",
    ),
    "end while waiting": Row(
        "an end while frames wait",
        "PV, ZeroMQ, file",
        "40 = 40",
        "They are processed first, also fewer than `--first-frames` or a batch.",
    ),
    "second scan damaged": Row(
        "a second scan that can't be used",
        "PV, ZeroMQ",
        ("40 = 40", "40 = 0 + 40 of another shape or type, or damaged", "40 = 40"),
        "It is told, the next one goes on; the command fails at the end.",
    ),
}
"""By a short name."""

FEW = 160
"""Frames of a short scan."""

GEOMETRY = ("--energy-ev", 10_000, "--distance-m", 0.9, "--pixel-size-m", 110e-6)
LOOKS = ("--json", "--look-s", 0.1, "--save-s", 0.3, "--provider", "cpu", "--threads", 1)


@cache
def stored():
    """Frames (481, 64, 64) and positions (481, 2) of the embedded scan."""
    scan = open_scan(EXAMPLE_SCAN)
    return np.asarray(scan.frames[:]), np.asarray(scan.positions_m)


@cache
def recorded(numbers: tuple[int, ...]) -> wnet_edge.Image:
    """What `infer` makes of these frames."""
    frames, positions_m = stored()
    scan = wnet_edge.read_scan(
        frames[list(numbers)],
        positions=positions_m[list(numbers)],
        energy_ev=10_000,
        distance_m=0.9,
        pixel_size_m=110e-6,
    )
    with wnet_edge.open(provider="cpu", threads=1) as runner:
        return runner.infer(scan)


@contextmanager
def meanwhile(work: Callable[[], object]):
    """Do this in another thread while the block runs, and see that it succeeds."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield done
        done.result()


@dataclass(frozen=True)
class Taken:
    """A scan that a live command has taken.

    Attributes:
        look: its last line of JSON.
        result: its file.
    """

    look: dict
    result: Result

    @classmethod
    def of(cls, out: str) -> "list[Taken]":
        """The scans of a command that has printed `out`."""
        lines = [json.loads(line) for line in out.splitlines()]
        ends = [line for line in lines if line.get("ended") is not None]
        return [cls(line, read_result(Path(line["result"]))) for line in ends]

    def holds(self, row: Row, sent: int, numbers) -> None:
        """See that frames sent are in the image or lost, as said, and that it is their image.

        Args:
            row: of the table.
            sent: frames.
            numbers: those of the embedded scan's frames that are in the image; None: they vary.
        """
        lost = {Loss[name.upper()].value: n for name, n in self.look["lost"].items() if n}
        processed = self.look["processed"]
        assert processed + sum(lost.values()) == sent
        assert row.says(sent, processed, lost)
        process = self.result.process
        frames = (process.frames_received, process.frames_processed, process.frames_lost)
        assert frames == (sent, processed, sent - processed)
        for reason, n in lost.items():
            if reason != Loss.UNUSABLE.value:
                assert f"{n} {'frame' if n == 1 else 'frames'} {reason}" in process.warnings
        if numbers is not None:
            self.is_image_of(numbers)

    def is_image_of(self, numbers) -> None:
        """See that it is the image of these frames of the embedded scan."""
        assert alike(self.look["result"], tuple(numbers)) >= 0.999

    def warns_of(self, text: str) -> None:
        """See that the result tells this."""
        assert any(text in line for line in self.result.process.warnings), (
            self.result.process.warnings
        )


def alike(path, numbers: tuple[int, ...]) -> float:
    """Correlation of a result's phases with the recorded image of these frames."""
    return wnet_edge.compare(path, recorded(numbers)).phase_correlation


def rows_of_page() -> str:
    """The table as the documentation has it."""
    after = PAGE.read_text("utf-8").partition(HEADER)[2]
    return after.partition("\n\n")[0] + "\n"


if __name__ == "__main__":
    before, header, after = PAGE.read_text("utf-8").partition(HEADER)
    rest = after.partition("\n## ")[2]
    table = "".join(row.line for row in ROWS.values())
    PAGE.write_text(f"{before}{header}{table}\n## {rest}", "utf-8")
