"""CXI 1.4 to 1.6 files, as the Coherent X-ray Imaging Data Bank defines them.

Maia, Nature Methods 9, 2012, 854; www.cxidb.org/cxi.html. One entry is read, by default the file's
default or the first with frames, with the detector of its frames; SI units throughout. Two
extensions of wnet-edge: `detector_1/binning` (absent: 1), for frames whose detector pixels are
already summed, and the labels of simulated frames in `/entry_1/labels`.
"""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.frame_axes import raster_of
from wnet_edge.io.containers.hdf5.frames import Hdf5Frames, frames_of
from wnet_edge.io.containers.hdf5.quantities import number_of
from wnet_edge.io.containers.hdf5.reader import (
    Hdf5Reader,
    as_text,
    dataset_at,
    dataset_error,
    followed,
    mask_of,
    modes_of,
    opened,
    optional_dataset,
)
from wnet_edge.io.containers.units import Quantity
from wnet_edge.io.found import Found, FoundScan, Positions, Wanted, attempt, noted
from wnet_edge.io.parts.beam_and_detector import (
    energy_of_wavelength,
    optional_number,
    photon_energy,
    square_pixel,
)
from wnet_edge.io.parts.entries import Entry, asked_entry, choose_entry
from wnet_edge.io.parts.frame_stacks import Candidate, choose_stack, merged
from wnet_edge.io.parts.translations import NAME as TRANSLATION_NAME
from wnet_edge.io.parts.translations import translation_of
from wnet_edge.scan.frame_source import FrameSource

ENTRY = "entry_1"
DETECTOR = f"{ENTRY}/instrument_1/detector_1"
SOURCE = f"{ENTRY}/instrument_1/source_1"
TRANSLATION = f"{ENTRY}/sample_1/geometry_1/translation"
LABELS = f"{ENTRY}/labels"
BAD_PIXEL_BITS = 0xFFFF
"""Mask bits that mark bad pixels; the upper half is only informative (0x10000: has signal)."""

_MAX_DETECTORS = 16
_MAX_ENTRIES = 100
_ENTRY = re.compile(r"entry_\d{1,6}")


@dataclass(frozen=True)
class Labels:
    """Ground-truth patches of a simulated scan.

    Attributes:
        amplitude: (N, h, h), relative to its illumination-weighted RMS, read lazily.
        phase: (N, h, h) rad, gauge-fixed, read lazily.
        window_px: edge h of a patch.
        binning: detector pixels along an edge that the network's frames sum.
    """

    amplitude: Hdf5Frames
    phase: Hdf5Frames
    window_px: int
    binning: int


def recognises(file: h5py.File) -> bool:
    """Whether the file states that it is CXI, or has its layout."""
    parts = ("instrument_1", "data_1")
    return "cxi_version" in file or any(
        f"{entry}/{part}" in file for entry in _entries(file) for part in parts
    )


def read(file: h5py.File, path: Path, wanted: Wanted) -> FoundScan:
    """Read a CXI file, far-field or not.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    names = _entries(file) or [ENTRY]
    notes: tuple[str, ...] = ()
    number = asked_entry(path, names, wanted)
    if number is None:
        number, notes = choose_entry([_summary(file, path, n) for n in names[:_MAX_ENTRIES]])
    entry = names[number]
    stack = attempt(lambda: _stack(file, path, entry, wanted))
    chosen = stack.value if isinstance(stack, Found) else None
    frames = attempt(lambda: _frames(path, stack, notes))
    detector = _detectors(file, entry)[0]
    if chosen is not None and chosen.detector is not None:
        detector = chosen.detector.name.strip("/")
    source = f"{entry}/instrument_1/source_1"
    places = _translations(entry, f"{entry}/data_1", detector)
    return FoundScan(
        path=path,
        format=f"CXI {_version(file)}",
        frames=frames,
        positions=attempt(lambda: _positions(file, path, places, wanted, frames)),
        raster=raster_of(frames),
        energy_ev=attempt(lambda: _energy(file, path, source)),
        distance_m=attempt(lambda: _distance(file, path, detector)),
        pixel_size_m=attempt(lambda: _pixel_size(file, path, detector)),
        mask=attempt(lambda: _mask(file, path, detector)),
        probe=attempt(lambda: _probe(file, path, source)),
        probe_pixel_size_m=_probe_pixel_size_m(file, source),
        binning=_binning(file, path, detector),
        entry=entry,
    )


READER = Hdf5Reader(recognises, read)


def is_simulated(path: Path) -> bool:
    """Whether a readable scan file of any format has labels as written by `wnet-edge simulate`."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        return LABELS in file


def read_labels(path: Path) -> Labels | None:
    """The labels of a simulated scan, None if the file has none.

    Raises:
        ScanError: if the labels do not match the frames.
    """
    with opened(path) as file:
        if LABELS not in file:
            return None
        frames = optional_dataset(file, path, f"{ENTRY}/data_1/data", f"{DETECTOR}/data")
        frame_count = frames.shape[0] if frames is not None and frames.ndim else 0
        parts = [dataset_at(file, path, f"{LABELS}/{name}") for name in ("amplitude", "phase")]
        window_px = parts[0].shape[-1] if parts[0].shape else 0
        for part in parts:
            if part.dtype.kind != "f" or part.shape != (frame_count, window_px, window_px):
                raise dataset_error(
                    path, part, f"is not ({frame_count}, h, h) floating point", "simulate"
                )
        attributes = parts[0].parent.attrs
        binning = attributes.get("binning")
        if attributes.get("window_px") != window_px or not isinstance(binning, np.integer):
            raise ScanError(
                f"{path}: {LABELS} lacks its attributes window_px = {window_px} and binning; "
                "simulate it again"
            )
        amplitude, phase = (Hdf5Frames(path, part) for part in parts)
        return Labels(amplitude, phase, window_px, int(binning))


def _version(file: h5py.File) -> str:
    """CXI version in its usual form: 160 is 1.6."""
    stored = file.get("cxi_version")
    known = isinstance(stored, h5py.Dataset) and stored.shape == () and stored.dtype.kind in "ui"
    return f"{int(stored[()]) / 100:.1f}" if known else "of no stated version"


def _frames(
    path: Path, stack: Found[Candidate] | None, notes: tuple[str, ...]
) -> Found[FrameSource] | None:
    if stack is None:
        return None
    return noted(frames_of(path, stack.value.opened()), (*notes, *stack.notes))


def _entries(file: h5py.File) -> list[str]:
    return sorted((name for name in file if _ENTRY.fullmatch(name)), key=lambda n: int(n[6:]))


def _summary(file: h5py.File, path: Path, entry: str) -> Entry:
    stacks = _stacks(file, path, entry)
    fitting = [stack for stack in stacks if stack.may_be_far_field]
    return Entry(
        name=entry,
        has_frames=bool(fitting),
        has_positions=any(stack.has_positions for stack in fitting),
        has_geometry=any(stack.has_geometry for stack in fitting),
        is_default=as_text(file.attrs.get("default", "")).strip("/") == entry,
    )


def _detectors(file: h5py.File, entry: str) -> list[str]:
    names = [f"{entry}/instrument_1/detector_{n}" for n in range(1, _MAX_DETECTORS + 1)]
    return [name for name in names if isinstance(followed(file, name), h5py.Group)] or names[:1]


def _stack(file: h5py.File, path: Path, entry: str, wanted: Wanted) -> Found[Candidate] | None:
    """The stack named by the user, else the likeliest; else one that is none, to be refused."""
    if wanted.frames is not None:
        dataset = dataset_at(file, path, wanted.frames.strip("/"))
        return Found(_stack_of(file, entry, dataset), dataset.name)
    choice = choose_stack(path, _stacks(file, path, entry))
    if choice is not None:
        return Found(choice[0], choice[0].where, notes=choice[1])
    names = (f"{at}/data" for at in (f"{entry}/data_1", *_detectors(file, entry)))
    other = optional_dataset(file, path, *names)
    return None if other is None else Found(_stack_of(file, entry, other), other.name)


def _stacks(file: h5py.File, path: Path, entry: str) -> list[Candidate]:
    """Stacks in `data_N` and in detectors; `data_1` is the entry's main data."""
    numbers = range(1, _MAX_DETECTORS + 1)
    stacks = []
    for at in (*(f"{entry}/data_{n}" for n in numbers), *_detectors(file, entry)):
        is_first, is_signal = at == f"{entry}/data_1", "/data_" in at
        try:
            dataset = optional_dataset(file, path, f"{at}/data")
        except ScanError as error:
            stacks.append(Candidate(f"/{at}/data", None, None, error=error, is_default=is_first))
            continue
        if dataset is not None and dataset.ndim in (3, 4):
            stack = _stack_of(file, entry, dataset)
            stacks.append(replace(stack, is_default=is_first, is_signal=is_signal))
    return merged(stacks)


def _stack_of(file: h5py.File, entry: str, dataset: h5py.Dataset) -> Candidate:
    """A dataset with its detector: the one that holds it, else one that holds no frames.

    May be a detector of another entry, if a link leads to its frames.
    """
    detectors = _detectors(file, entry)
    data = {name: followed(file, f"{name}/data") for name in detectors}
    own = [name for name in detectors if data[name] == dataset]
    free = [name for name in detectors if not isinstance(data[name], h5py.Dataset)]
    others = [name for other in _entries(file) for name in _detectors(file, other)]
    linked = [name for name in others if followed(file, f"{name}/data") == dataset]
    detector = next(iter([*own, *linked, *free, *detectors]))
    # Some programs write a copy of a detector's frames; it belongs to that detector, too.
    copied = [name for name in detectors if getattr(data[name], "shape", None) == dataset.shape]
    known = all(f"{detector}/{name}" in file for name in ("distance", "x_pixel_size"))
    places = [followed(file, f"{at}") for at in _translations(entry, dataset.parent.name, detector)]
    return Candidate(
        where=dataset.name,
        dataset=dataset,
        detector=followed(file, detector),
        has_geometry=known and detector in (*own, *free, *copied),
        has_positions=any(isinstance(place, h5py.Dataset) for place in places),
    )


def _translations(entry: str, data: str, detector: str) -> tuple[str, ...]:
    places = (f"{entry}/sample_1/geometry_1", data, f"{entry}/data_1", detector)
    return tuple(f"{place.strip('/')}/{TRANSLATION_NAME}" for place in dict.fromkeys(places))


def _binning(file: h5py.File, path: Path, detector: str) -> int:
    dataset = optional_dataset(file, path, f"{detector}/binning")
    if dataset is None:
        return 1
    binning = number_of(path, dataset).value
    if not (1 <= binning <= 64 and binning == int(binning)):
        raise dataset_error(
            path, dataset, f"is {binning:g}, not a whole number of 1 … 64", "correct it"
        )
    return int(binning)


def _positions(
    file: h5py.File, path: Path, places: tuple[str, ...], wanted: Wanted, frames: object
) -> Found[Positions] | None:
    dataset = optional_dataset(file, path, *places)
    count = frames.value.shape[0] if isinstance(frames, Found) and not wanted.growing else None
    unit = wanted.positions_unit
    return None if dataset is None else translation_of(path, dataset, unit, count)


def _energy(file: h5py.File, path: Path, source: str) -> Found[float] | None:
    """Photon energy in eV from `energy` in J, else from `wavelength` in m."""
    energy = optional_dataset(file, path, f"{source}/energy")
    wavelength = optional_dataset(file, path, f"{source}/wavelength")
    return photon_energy(path, energy, "J") or energy_of_wavelength(path, wavelength, "m")


def _distance(file: h5py.File, path: Path, detector: str) -> Found[float] | None:
    distance = optional_dataset(file, path, f"{detector}/distance")
    return optional_number(path, distance, Quantity.LENGTH, "m")


def _pixel_size(file: h5py.File, path: Path, detector: str) -> Found[float] | None:
    x, y = (optional_dataset(file, path, f"{detector}/{axis}_pixel_size") for axis in "xy")
    return square_pixel(path, x, y, "m")


def _probe(file: h5py.File, path: Path, source: str) -> Found[NDArray[np.complex64]] | None:
    dataset = optional_dataset(file, path, f"{source}/illumination")
    return None if dataset is None else modes_of(path, dataset)


def _probe_pixel_size_m(file: h5py.File, source: str) -> float | None:
    probe = followed(file, f"{source}/illumination")
    if probe is None:
        return None
    given = probe.attrs.get("pixel_size_m", probe.attrs.get("pixel_size"))
    size_m = float(given) if isinstance(given, (np.floating, float)) else math.nan
    return size_m if 0 < size_m < 1 else None


def _mask(file: h5py.File, path: Path, detector: str) -> Found[NDArray[np.bool_]] | None:
    dataset = optional_dataset(file, path, f"{detector}/mask")
    if dataset is None:
        return None
    bits = mask_of(path, dataset)
    return Found((bits.value & BAD_PIXEL_BITS) != 0, bits.where)
