"""Frames of a running scan that are lost: how many, for which reasons, with a few notes."""

from collections import Counter

from wnet_edge.live.source import Loss, Lost, told

_MOST_NOTES = 20
"""Lines for the user about what was lost; the counts go on."""


class Losses:
    """Counts what is lost.

    Attributes:
        counts: frames by reason.
        notes: for the user, a line each.
    """

    def __init__(self) -> None:
        self.counts: Counter[Loss] = Counter()
        self.notes: list[str] = []

    def add(self, lost: Lost) -> None:
        """Count frames that are lost."""
        self.counts[lost.reason] += lost.frames
        if lost.note and lost.note not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(lost.note)

    @property
    def text(self) -> str:
        """What follows a message about a scan without an image."""
        return "".join(f"; {line}" for line in (*told(self.counts), *self.notes))
