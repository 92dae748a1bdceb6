"""NeXus files: the application definitions NXptycho and NXcxi_ptycho, and plain NXdata.

NXcxi_ptycho: NeXus definitions, contributed_definitions/NXcxi_ptycho, NIAC 2014 to 2020. Where a
number has no attribute `units`, lengths are in metres and photon energies in electronvolts (in
joules where the file says that it is CXI, too). The energy in NXsource is the storage ring's, but
the photons' in files that are CXI as well: one that no photon has is passed over.
"""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.beam_and_detector import energy_of_wavelength, optional_number, square_pixel
from wnet_edge.io.complete import ENERGY_EV
from wnet_edge.io.cxi import BAD_PIXEL_BITS
from wnet_edge.io.found import Found, FoundScan, Hdf5Reader, as_text, attempt
from wnet_edge.io.hdf5 import mask_of, modes_of, number_of, optional_dataset
from wnet_edge.io.hdf5_frames import frames_of
from wnet_edge.io.nexus_positions import Places, positions_of
from wnet_edge.io.nexus_tree import (
    PTYCHOGRAPHY,
    child_of,
    class_of,
    data_groups,
    definition_of,
    entry_of,
    groups_of,
    signal_of,
)
from wnet_edge.io.units import Quantity, unit_factor

_ENERGIES = ("incident_energy", "incident_beam_energy", "energy")
_WAVELENGTHS = ("incident_wavelength", "wavelength")
_PIXEL_UNITS = ("", "px", "pixel", "pixels")


def recognises_ptychography(file: h5py.File) -> bool:
    """Whether an entry says that it keeps to a definition of ptychography."""
    entry = entry_of(file)
    return entry is not None and definition_of(entry) in PTYCHOGRAPHY


def recognises(file: h5py.File) -> bool:
    """Whether there is an entry of class NXentry."""
    return entry_of(file) is not None


def read(file: h5py.File, path: Path) -> FoundScan:
    """What the entry with the scan holds.

    Raises:
        ScanError: in one line that names the file, the dataset and the cure.
    """
    entry = entry_of(file)
    if entry is None:
        return FoundScan(path=path, format="NeXus")
    instruments = [entry, *groups_of(path, [entry], "NXinstrument", "instrument")]
    detectors = groups_of(path, instruments, "NXdetector", "detector")
    samples = groups_of(path, [entry], "NXsample", "sample")
    data = data_groups(path, entry)
    dataset = _stack(path, data, detectors)
    detector = _detector_of(dataset, detectors)
    sources = groups_of(path, instruments, "NXsource", "source")
    beams = groups_of(path, [*instruments, *samples], "NXbeam", "beam")
    beams += groups_of(path, instruments, "NXmonochromator", "monochromator")
    counts: tuple[int, ...] = () if dataset is None else dataset.shape[:-2]
    places = _places(path, entry, data, detectors, samples)
    energy_unit = "J" if "cxi_version" in file else "eV"
    pixel_size_m = attempt(lambda: _pixel_size(path, detector))
    return FoundScan(
        path=path,
        format=definition_of(entry) or "NeXus",
        frames=None if dataset is None else attempt(lambda: frames_of(path, dataset)),
        positions=attempt(lambda: positions_of(path, places, counts)),
        raster=(counts[0], counts[1]) if len(counts) == 2 else None,
        energy_ev=attempt(lambda: _energy(path, beams, sources, energy_unit)),
        distance_m=attempt(lambda: _distance(path, detector)),
        pixel_size_m=pixel_size_m,
        mask=attempt(lambda: _mask(path, detector)),
        probe=attempt(lambda: _probe(path, [*sources, *beams, *detectors, entry])),
        beam_centre_px=attempt(lambda: _beam_centre(path, detector, pixel_size_m)),
    )


PTYCHOGRAPHY_READER = Hdf5Reader(recognises_ptychography, read)
READER = Hdf5Reader(recognises, read)


def _stack(path: Path, data: list[h5py.Group], detectors: list[h5py.Group]) -> h5py.Dataset | None:
    """The first signal, or data of a detector, of three or four dimensions."""
    named = [(group, signal_of(group)) for group in data]
    for group, name in (*named, *((detector, "data") for detector in detectors)):
        dataset = optional_dataset(group, path, name)
        if dataset is not None and dataset.ndim in (3, 4):
            return dataset
    return None


def _detector_of(dataset: h5py.Dataset | None, detectors: list[h5py.Group]) -> h5py.Group | None:
    """The detector whose data these are; else the first."""
    owners = (group for group in detectors if child_of(group, "data") == dataset)
    return next(owners, next(iter(detectors), None))


def _places(
    path: Path,
    entry: h5py.Group,
    data: list[h5py.Group],
    detectors: list[h5py.Group],
    samples: list[h5py.Group],
) -> Places:
    collections = groups_of(path, [entry], "NXcollection", "data")
    collections += groups_of(path, samples, "NXcollection", "geometry")
    return Places([*collections, *data, *detectors], data, samples)


def _energy(
    path: Path, beams: list[h5py.Group], sources: list[h5py.Group], unit: str
) -> Found[float] | None:
    for group in beams:
        dataset = optional_dataset(group, path, *_ENERGIES)
        energy = optional_number(path, dataset, Quantity.ENERGY, unit)
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
    dataset = optional_dataset(detector, path, "distance", "detector_distance")
    return optional_number(path, dataset, Quantity.LENGTH, "m")


def _pixel_size(path: Path, detector: h5py.Group | None) -> Found[float] | None:
    if detector is None:
        return None
    x, y = (optional_dataset(detector, path, f"{axis}_pixel_size") for axis in "xy")
    return square_pixel(path, x, y, "m")


def _mask(path: Path, detector: h5py.Group | None) -> Found[NDArray[np.bool_]] | None:
    """Every bit of `pixel_mask` is a fault (NXdetector); CXI's `mask` has others, too."""
    dataset = None if detector is None else optional_dataset(detector, path, "pixel_mask", "mask")
    if dataset is None:
        return None
    bits = mask_of(path, dataset)
    faults = BAD_PIXEL_BITS if dataset.name.endswith("/mask") else ~0
    return Found((bits.value & faults) != 0, bits.where)


def _beam_centre(
    path: Path, detector: h5py.Group | None, pixel_size_m: Found[float] | None
) -> Found[tuple[float, float]] | None:
    """In pixels, or as a length where `units` says so (NXdetector allows both)."""
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
    """`illumination` as CXI has it, or a complex `probe` of the entry; NXsource's is a word."""
    for group in groups:
        names = ("illumination", "probe") if class_of(group) != "NXsource" else ("illumination",)
        dataset = optional_dataset(group, path, *names)
        if dataset is not None and dataset.dtype.kind == "c":
            return modes_of(path, dataset)
    return None
