"""Choice of the diffraction frames among several stacks in a file: cameras, spectra, volumes.

Used by the readers of CXI and NeXus. Criteria, most important first: frames that can be a far
field, one position per frame, a detector with known distance and pixel size, the file's defaults,
counts. If stacks rank equally, the file is refused with the flag to choose one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.io.parts.axis_names import words_of

_SMALLEST_PX = 8
_LONGEST_EDGE_RATIO = 5.0
"""Largest ratio of a frame's edges: detectors have 1 × 4 modules at most; spectra are longer."""
_SHOWN = 6
_OTHER_STACKS = """
mask masks dark darks flat flats background error errors err uncertainty uncertainties variance
weights gain noise fluorescence xrf spectra spectrum mca reconstruction reconstructed recon
volume object sum
"""
_NOT_MEASURED = frozenset(_OTHER_STACKS.split())
"""Words in names of stacks that are not far-field frames as measured."""


@dataclass(frozen=True)
class Candidate:
    """A dataset with three or four axes that may be the diffraction frames, or a broken link.

    Attributes:
        where: path of the dataset.
        dataset: the dataset; None if the link is broken.
        links: further paths to it.
        detector: group of its detector, None if unknown.
        has_geometry: whether distance and pixel size of that detector are known.
        is_default: whether the file's defaults lead to it.
        is_signal: whether it is the signal of a data group.
        has_positions: whether there is one position per frame.
        counts: (N,) number of frames, or (rows, columns) of a raster.
        error: error met on following a broken link.
    """

    where: str
    dataset: h5py.Dataset | None
    detector: h5py.Group | None = None
    has_geometry: bool = False
    is_default: bool = False
    is_signal: bool = False
    has_positions: bool = False
    links: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    error: ScanError | None = None

    @property
    def may_be_far_field(self) -> bool:
        """Whether its frames may be a far field by shape and name."""
        if self.dataset is None or self.dataset.ndim < 2:
            return self.dataset is None
        short, long = sorted(self.dataset.shape[-2:])
        named = not set(_NOT_MEASURED) & set(words_of("_".join(self.where.split("/")[-2:])))
        shaped = short >= _SMALLEST_PX and long <= _LONGEST_EDGE_RATIO * short
        return named and shaped and self.dataset.dtype.kind in "uif"

    def opened(self) -> h5py.Dataset:
        """The dataset.

        Raises:
            ScanError: if it is behind a broken link.
        """
        if self.error is not None:
            raise self.error
        return self.dataset

    @property
    def rank(self) -> tuple[bool, ...]:
        """Sort key: larger for stacks that are likelier to be the diffraction frames."""
        return (
            self.may_be_far_field,
            self.dataset is None or self.has_positions,
            self.has_geometry,
            self.is_default,
            self.is_signal,
            self.detector is not None,
            self.dataset is None or self.dataset.dtype.kind in "ui",
        )

    @property
    def described(self) -> str:
        """Text with its path and shape."""
        shape = () if self.dataset is None else self.dataset.shape
        return f"{self.where} ({' × '.join(map(str, shape))})"


def merged(stacks: Iterable[Candidate]) -> list[Candidate]:
    """Merge candidates that are the same dataset, directly or through a virtual dataset."""
    once: dict[object, Candidate] = {}
    for stack in stacks:
        key = stack.where if stack.dataset is None else stack.dataset
        once[key] = _joined(once[key], stack) if key in once else stack
    views = [s for s in once.values() if s.dataset is not None and s.dataset.is_virtual]
    for view in views:
        for key, source in once.items():
            if source.dataset is not None and source is not view and _is_view(view, source):
                first, second = sorted((key, view.dataset), key=list(once).index)
                once[first] = _joined(once[first], once.pop(second))
                break
    return list(once.values())


def _joined(one: Candidate, other: Candidate) -> Candidate:
    return replace(
        one,
        links=(*one.links, other.where, *other.links),
        detector=one.detector if one.detector is not None else other.detector,
        has_geometry=one.has_geometry or other.has_geometry,
        is_default=one.is_default or other.is_default,
        is_signal=one.is_signal or other.is_signal,
    )


def _is_view(virtual: Candidate, source: Candidate) -> bool:
    """Whether a virtual dataset is a view of one other dataset of its file."""
    dataset, shown = virtual.opened(), source.opened()
    if not dataset.is_virtual or dataset.shape != shown.shape:
        return False
    names = {name.strip("/") for name in (source.where, *source.links)}
    return dataset.file.filename == shown.file.filename and all(
        part.file_name == "." and part.dset_name.strip("/") in names
        for part in dataset.virtual_sources()
    )


def choose_stack(
    path: Path, stacks: Sequence[Candidate]
) -> tuple[Candidate, tuple[str, ...]] | None:
    """Choose the diffraction frames; returns them and notes on the others, None without any stack.

    Raises:
        ScanError: if several are equally likely, or the link to the likeliest is broken.
    """
    if not stacks:
        return None
    best = max(stacks, key=lambda stack: stack.rank)
    equal = [stack for stack in stacks if stack.rank == best.rank]
    if len(equal) > 1:
        named = ", ".join(stack.described for stack in equal[:_SHOWN])
        raise ScanError(
            f"{path}: holds {len(equal)} stacks of frames of which any may be the diffraction: "
            f"{named}; name one with --frames"
        )
    best.opened()
    others = [stack for stack in stacks if stack is not best and stack.dataset is not None]
    if not others:
        return best, ()
    named = ", ".join(stack.described for stack in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    why = _why(best, others)
    return best, (f"frames are {best.where}{why}; --frames selects another: {named}{more}",)


def _why(best: Candidate, others: Sequence[Candidate]) -> str:
    reasons = (
        ", whose frames can be a far field",
        ", which has positions",
        ", whose distance and pixel size are known",
        ", the file's default",
        ", the signal of its group",
        ", of a detector",
        ", which are whole numbers",
    )
    second = max(stack.rank for stack in others)
    differing = np.flatnonzero(np.array(best.rank) != np.array(second))
    return reasons[differing[0]]
