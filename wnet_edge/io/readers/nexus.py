"""NeXus files: the application definitions NXptycho and NXcxi_ptycho, and plain NXdata.

NXcxi_ptycho: NeXus definitions, contributed_definitions/NXcxi_ptycho, NIAC 2014 to 2020. Without an
attribute `units`, lengths are in metres and photon energies in electronvolts (in joules if the file
states that it is CXI, too). The energy in NXsource is that of the storage ring, but that of the
photons in files that are CXI as well: an implausible photon energy there is ignored.
"""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.quantities import number_of
from wnet_edge.io.containers.hdf5.reader import (
    Hdf5Reader,
    as_text,
    dataset_at,
    mask_of,
    modes_of,
    optional_dataset,
)
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found, FoundScan, Wanted, attempt, noted
from wnet_edge.io.parts.beam_and_detector import (
    energy_of_wavelength,
    optional_number,
    photon_energy,
    square_pixel,
)
from wnet_edge.io.parts.complete_scan import ENERGY_EV
from wnet_edge.io.parts.entries import Entry, asked_entry, choose_entry
from wnet_edge.io.parts.frame_stacks import Candidate, choose_stack
from wnet_edge.io.readers.cxi import BAD_PIXEL_BITS
from wnet_edge.io.readers.nexus_entry import DISTANCES, NexusEntry
from wnet_edge.io.readers.nexus_positions import positions_of
from wnet_edge.io.readers.nexus_tree import (
    Tree,
    class_of,
    definition_of,
    entries_of,
    is_default,
)
from wnet_edge.scan.frame_source import FrameSource

_MAX_LOOKED_AT = 2000
"""Number of groups and datasets after which no further entries are examined if one has frames."""
_ENERGIES = ("incident_energy", "incident_beam_energy", "energy")
_WAVELENGTHS = ("incident_wavelength", "wavelength")
_PIXEL_UNITS = ("", "px", "pixel", "pixels")


def recognises(file: h5py.File) -> bool:
    """Whether there is an entry of class NXentry, or a group without class that looks like one."""
    return bool(entries_of(file))


def read(file: h5py.File, path: Path, wanted: Wanted) -> FoundScan:
    """Read the entry with the scan.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    entries = entries_of(file)
    tree = Tree()
    parts = [NexusEntry(path, entry, entries, wanted, tree) for entry in entries]
    number = asked_entry(path, [entry.name.strip("/") for entry in entries], wanted)
    if number is not None or len(parts) == 1:
        return _read_entry(file, path, parts[number or 0], wanted, ())
    summaries: list[Entry] = []
    looked_at = 0
    for part in parts:
        if looked_at > _MAX_LOOKED_AT and any(summary.has_frames for summary in summaries):
            break
        summaries.append(_summary(file, part))
        looked_at += part.item_count
    number, notes = choose_entry(summaries, len(parts) - len(summaries))
    return _read_entry(file, path, parts[number], wanted, notes)


def _summary(file: h5py.File, entry: NexusEntry) -> Entry:
    try:
        fitting = [stack for stack in entry.stacks if stack.may_be_far_field]
    except ScanError:  # a broken link: reported if this entry is read
        fitting = []
    return Entry(
        name=entry.group.name.strip("/"),
        has_frames=bool(fitting),
        has_positions=any(stack.has_positions for stack in fitting),
        has_geometry=any(stack.has_geometry for stack in fitting),
        is_default=is_default(file, entry.group),
    )


def _read_entry(
    file: h5py.File, path: Path, entry: NexusEntry, wanted: Wanted, notes: tuple[str, ...]
) -> FoundScan:
    stack = attempt(lambda: _stack(file, path, entry, wanted))
    chosen = stack.value if isinstance(stack, Found) else None
    detector = None if chosen is None else chosen.detector
    if stack is None:
        detector = next(iter(entry.detectors), None)
    dataset = None if chosen is None else chosen.opened()
    counts = () if chosen is None else chosen.counts
    paired = () if wanted.growing and len(counts) == 1 else counts
    energy_unit = "J" if "cxi_version" in file else "eV"
    pixel_size_m = attempt(lambda: _pixel_size(path, detector))
    frames = attempt(lambda: _frames(path, stack, notes))
    lights = [*entry.sources, *entry.beams, *entry.detectors, entry.group]
    return FoundScan(
        path=path,
        format=definition_of(entry.group) or "NeXus",
        frames=frames,
        positions=attempt(lambda: positions_of(path, entry.places, paired, dataset)),
        raster=(counts[0], counts[1]) if len(counts) == 2 else None,
        energy_ev=attempt(lambda: _energy(path, entry.beams, entry.sources, energy_unit)),
        distance_m=attempt(lambda: _distance(path, detector)),
        pixel_size_m=pixel_size_m,
        mask=attempt(lambda: _mask(path, detector)),
        probe=attempt(lambda: _probe(path, lights)),
        beam_centre_px=attempt(lambda: _beam_centre(path, detector, pixel_size_m)),
        entry=entry.group.name.strip("/"),
    )


READER = Hdf5Reader(recognises, read)


def _frames(
    path: Path, stack: Found[Candidate] | None, notes: tuple[str, ...]
) -> Found[FrameSource] | None:
    if stack is None:
        return None
    return noted(frames_of(path, stack.value.opened()), (*notes, *stack.notes))


def _stack(
    file: h5py.File, path: Path, entry: NexusEntry, wanted: Wanted
) -> Found[Candidate] | None:
    """The stack named by the user, else the likeliest one."""
    if wanted.frames is not None:
        dataset = dataset_at(file, path, wanted.frames.strip("/"))
        return Found(entry.stack_of(dataset), dataset.name)
    choice = choose_stack(path, entry.stacks)
    return None if choice is None else Found(choice[0], choice[0].where, notes=choice[1])


def _energy(
    path: Path, beams: list[h5py.Group], sources: list[h5py.Group], unit: str
) -> Found[float] | None:
    for group in beams:
        dataset = optional_dataset(group, path, *_ENERGIES)
        energy = photon_energy(path, dataset, unit)
        if energy is not None:
            return energy
    for group in (*beams, *sources):
        energy = energy_of_wavelength(path, optional_dataset(group, path, *_WAVELENGTHS), "m")
        if energy is not None:
            return energy
    for group in sources:
        dataset = optional_dataset(group, path, "energy")
        energy = optional_number(path, dataset, Quantity.ENERGY, unit)
        if energy is not None and energy.value <= ENERGY_EV[1]:
            return energy
    return None


def _distance(path: Path, detector: h5py.Group | None) -> Found[float] | None:
    if detector is None:
        return None
    dataset = optional_dataset(detector, path, *DISTANCES)
    return optional_number(path, dataset, Quantity.LENGTH, "m")


def _pixel_size(path: Path, detector: h5py.Group | None) -> Found[float] | None:
    if detector is None:
        return None
    x, y = (optional_dataset(detector, path, f"{axis}_pixel_size") for axis in "xy")
    return square_pixel(path, x, y, "m")


def _mask(path: Path, detector: h5py.Group | None) -> Found[NDArray[np.bool_]] | None:
    """Mask from `pixel_mask`, all of whose bits are faults (NXdetector), or CXI's `mask`."""
    dataset = None if detector is None else optional_dataset(detector, path, "pixel_mask", "mask")
    if dataset is None:
        return None
    bits = mask_of(path, dataset)
    faults = BAD_PIXEL_BITS if dataset.name.endswith("/mask") else ~0
    return Found((bits.value & faults) != 0, bits.where)


def _beam_centre(
    path: Path, detector: h5py.Group | None, pixel_size_m: Found[float] | None
) -> Found[tuple[float, float]] | None:
    """Beam centre in pixels, also from a length according to `units` (NXdetector allows both)."""
    if detector is None:
        return None
    centre_px = []
    for axis in "yx":
        dataset = optional_dataset(detector, path, f"beam_center_{axis}", f"beam_centre_{axis}")
        if dataset is None:
            return None
        value, unit = number_of(path, dataset).value, as_text(dataset.attrs.get("units", ""))
        if unit.strip().lower() not in _PIXEL_UNITS:
            factor = unit_factor(unit, Quantity.LENGTH)
            if factor is None or not isinstance(pixel_size_m, Found):
                return None
            value *= factor / pixel_size_m.value
        centre_px.append(value)
    if not any(centre_px):
        return None
    return Found((centre_px[0], centre_px[1]), f"{detector.name}/beam_center_y, beam_center_x")


def _probe(path: Path, groups: Iterable[h5py.Group]) -> Found[NDArray[np.complex64]] | None:
    """Probe from CXI's `illumination`, or a complex `probe` (NXsource's `probe` is a text)."""
    for group in groups:
        names = ("illumination", "probe") if class_of(group) != "NXsource" else ("illumination",)
        dataset = optional_dataset(group, path, *names)
        if dataset is not None and dataset.dtype.kind == "c":
            return modes_of(path, dataset)
    return None
