"""One browser's copy of the page: what it has been sent, and what it asks for.

A browser says which look it has shown; only then is the next one sent, so that one that reads
slowly, or not at all, holds one look in the server and nothing else.
"""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import localtime, strftime
from typing import Any

import numpy as np
from bokeh.document import Document

from wnet_edge.live.page.figures import Figures
from wnet_edge.live.page.page_look import PageLook, Picture, of_frame


class Viewer:
    """The document of a browser.

    Args:
        document: to be filled.
        newest: gives the newest look, None before the first.
        save_asked: to be set when the viewer wants the result to be written.
        result_of: file in which the result of a scan, by its name, is written.
    """

    def __init__(
        self,
        document: Document,
        newest: Callable[[], PageLook | None],
        save_asked: Event,
        result_of: Callable[[str], Path],
    ) -> None:
        self._figures = Figures(document)
        self._figures.asked.on_change("data", self._hear)
        self._newest, self._save_asked, self._result_of = newest, save_asked, result_of
        self._sent = self._shown = self._scan_number = self._saves = self._windows = 0
        self._paused = self._saving = False
        self._written_s: float | None = None
        self._pictures: dict[str, Picture] = {}
        self._kept: set[int] = set()

    @property
    def is_behind(self) -> bool:
        """Whether the browser has yet to show the newest look."""
        newest = self._newest()
        return newest is not None and not self._paused and self._shown < newest.number

    def update(self) -> None:
        """Send the newest look, if the browser has shown the one before and is not paused."""
        look = self._newest()
        if look is not None and self._saving and self._is_saved(look):
            self._saving = False
            self._figures.say(self._told_of_save(look))
        if look is not None and not self._paused and self._sent == self._shown < look.number:
            self._send(look)

    def _send(self, look: PageLook) -> None:
        if look.scan_number != self._scan_number:
            self._scan_number, self._windows = look.scan_number, 0
            self._kept.clear()
        for name, picture in look.pictures.items():
            self._send_picture(name, picture)
        self._send_windows(look)
        self._send_kept(look)
        self._figures.status.data = {"json": [json.dumps(look.status, allow_nan=False)]}
        self._sent = look.number

    def _send_picture(self, name: str, picture: Picture) -> None:
        if picture.is_as(self._pictures.get(name)):
            return
        self._pictures[name] = picture
        self._figures.images[name].data = {
            "image": [picture.values],
            "x": [picture.x_um],
            "y": [picture.y_um],
            "dw": [picture.width_um],
            "dh": [picture.height_um],
        }

    def _send_windows(self, look: PageLook) -> None:
        """Windows of the frames that have come since."""
        corners_um = look.windows_um[self._windows :]
        new: dict[str, Any] = {
            "x": corners_um[:, 0],
            "y": corners_um[:, 1],
            "number": look.snapshot.frame_numbers[self._windows :].astype(np.int32),
        }
        if self._windows == 0:
            self._figures.windows.data = new
        elif len(corners_um):
            self._figures.windows.stream(new)
        self._windows += len(corners_um)

    def _send_kept(self, look: PageLook) -> None:
        """Frames that are kept and have not been sent; the browser keeps the others."""
        new = {
            place: counts for place, counts in look.snapshot.kept.items() if place not in self._kept
        }
        self._kept |= set(new)
        images = [of_frame(counts).values for counts in new.values()]
        self._figures.kept.data = {"place": list(new), "image": images}

    def _is_saved(self, look: PageLook) -> bool:
        return look.snapshot.ended is not None or not self._save_asked.is_set()

    def _told_of_save(self, look: PageLook) -> str:
        path = self._result_of(look.snapshot.scan).absolute()
        if _written_s(path) in (None, self._written_s):
            return f"{path} could not be written; wnet-edge's terminal says why"
        return f"{strftime('%H:%M:%S', localtime())} saved: {path}"

    def _hear(self, _: str, __: object, said: object) -> None:
        """What the browser says: the look it shows, whether it is paused, saves asked for."""
        try:
            shown, paused, saves = (int(said[name][0]) for name in ("shown", "paused", "saves"))  # type: ignore[index]
        except (LookupError, TypeError, ValueError):
            return
        self._shown, self._paused = min(shown, self._sent), bool(paused)
        if saves > self._saves:
            self._ask_for_save()
        self._saves = saves

    def _ask_for_save(self) -> None:
        look = self._newest()
        if look is None:
            self._figures.say("There is no image to save yet.")
            return
        self._saving = True
        self._written_s = None
        if look.snapshot.ended is None:
            self._written_s = _written_s(self._result_of(look.snapshot.scan))
            self._save_asked.set()


def _written_s(path: Path) -> float | None:
    """When a file was written; None if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None
