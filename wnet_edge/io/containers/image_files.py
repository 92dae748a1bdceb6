"""Image files of a scan from a folder or a pattern, one frame per file, and their order.

Files belong to one scan if their names differ only in numbers, which determine the order (2 before
10).
"""

import glob
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.host.inputs import note_input
from wnet_edge.io.containers.file_kind import FileKind, kind_of

_WILDCARD = re.compile(r"[*?\[]")
_SUFFIXES = (".tif", ".tiff")
_SHOWN = 3


def is_of_images(path: Path) -> bool:
    """Whether a path means several files: a folder, or a pattern such as `scan/*.tif`."""
    try:
        return path.is_dir() or (bool(_WILDCARD.search(str(path))) and not path.exists())
    except (OSError, ValueError):
        return False


def image_files(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Frame files in order, and notes on files that were ignored.

    Raises:
        ScanError: if there are none, or their names do not belong to one scan.
    """
    images, notes = _unchecked(path)
    for image in images:
        note_input(image, ScanError)
    return images, notes


def _unchecked(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    if not path.is_dir():
        images = [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207 - any pattern
        if not images:
            raise ScanError(f"{path}: no such file; check the pattern")
        odd = next((i for i in images if i.is_dir() or kind_of(i) is not FileKind.TIFF), None)
        if odd is not None:
            raise ScanError(f"{path}: {odd.name} is not a TIFF; give a pattern of TIFF files only")
        return sorted(images, key=_natural), ()
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScanError(f"{path}: can't be read ({reason}); check its permissions") from error
    images = [e for e in entries if e.suffix.lower() in _SUFFIXES and e.is_file()]
    if not images:
        raise ScanError(f"{path}: is a folder; name a scan file in it")
    kinds = Counter(re.sub(r"\d+", "#", image.stem) for image in images)
    if len(kinds) > 1:
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN))
        pattern = kinds.most_common(1)[0][0].replace("#", "*")
        raise ScanError(
            f"{path}: holds TIFF files of several kinds ({shown}); quote a pattern of those of "
            f"the scan: '{path / pattern}{images[0].suffix}'"
        )
    taken = set(images)
    others = sorted(entry.name for entry in entries if entry not in taken)
    if not others:
        return sorted(images, key=_natural), ()
    shown = ", ".join(others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
    return sorted(images, key=_natural), (
        f"{len(others)} other files in {path.name or path} are left alone ({shown})",
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def numbers_in(names: Sequence[str]) -> NDArray[np.int64] | None:
    """The one number that differs between names, (N,) int64; None if there is none or several."""
    runs = [re.findall(r"\d+", name) for name in names]
    if len({len(run) for run in runs}) != 1:
        return None
    varying = [column for column in zip(*runs, strict=True) if len(set(column)) > 1]
    if len(varying) != 1 or max(map(len, varying[0])) > 9:
        return None
    numbers = np.array([int(number) for number in varying[0]])
    return numbers if len(set(varying[0])) == len(names) else None
