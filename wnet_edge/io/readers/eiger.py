"""Files of Dectris Eiger detectors: a master file with its data files, or a single data file.

Dectris, header data of the SIMPLON API ("NeXus header groups", API 1.5 and later), and the older
`/eh5/images` of the Swiss Light Source. Frames are compressed with bitshuffle and LZ4. There are no
positions: they are given by flag. Values that were never set are 0.
"""

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.concatenated import concatenated
from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.quantities import number_of
from wnet_edge.io.containers.hdf5.reader import Hdf5Reader, mask_of, optional_dataset
from wnet_edge.io.containers.units import Quantity
from wnet_edge.io.found import Found, FoundScan, Wanted, attempt, noted
from wnet_edge.io.parts.beam_and_detector import energy_of_wavelength, optional_number, square_pixel
from wnet_edge.io.parts.frame_stacks import Candidate
from wnet_edge.io.readers.nexus_tree import child_of, class_of
from wnet_edge.scan.frame_source import FrameSource

DATA = "entry/data"
DETECTOR = "entry/instrument/detector"
BEAM = "entry/instrument/beam"
SLS_IMAGES = "eh5/images"

_NUMBERED = re.compile(r"data_\d+")


def recognises(file: h5py.File) -> bool:
    """Whether the file has the numbered datasets of a master file, or the one of a data file.

    `entry/data/data` in an NXdata group is plain NeXus, even if from an Eiger.
    """
    data = child_of(file, DATA)
    if not isinstance(data, h5py.Group):
        return isinstance(child_of(file, SLS_IMAGES), h5py.Dataset)
    single = isinstance(child_of(data, "data"), h5py.Dataset) and class_of(data) != "NXdata"
    return single or bool(_numbered(data))


def read(file: h5py.File, path: Path, wanted: Wanted) -> FoundScan:
    """Read a master or data file.

    Raises:
        ScanError: in one line that names the file, the dataset or the data file, and the remedy.
    """
    return FoundScan(
        path=path,
        format="Eiger",
        frames=attempt(lambda: _frames(file, path, wanted.growing)),
        energy_ev=attempt(lambda: _energy(file, path)),
        distance_m=attempt(lambda: _distance(file, path)),
        pixel_size_m=attempt(lambda: _pixel_size(file, path)),
        mask=attempt(lambda: _mask(file, path)),
        beam_centre_px=attempt(lambda: _beam_centre(file, path)),
    )


READER = Hdf5Reader(recognises, read)


def _numbered(data: h5py.Group) -> list[str]:
    return sorted((name for name in data if _NUMBERED.fullmatch(name)), key=_number)


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _frames(file: h5py.File, path: Path, growing: bool) -> Found[FrameSource] | None:
    data = child_of(file, DATA)
    numbered = _numbered(data) if isinstance(data, h5py.Group) else []
    stacks = _so_far(file, path, numbered) if growing else _all_of(file, path, numbered)
    known = [Candidate(stack.name, stack) for stack in stacks if stack.ndim >= 2]
    fitting = [stack for stack in known if stack.may_be_far_field] or known
    if fitting:
        found = concatenated(path, [frames_of(path, stack.opened()) for stack in fitting])
        left = ", ".join(stack.described for stack in known if stack not in fitting)
        note = f"frames are {found.where}; --frames selects another: {left}"
        return noted(found, (note,)) if left else found
    single = optional_dataset(file, path, f"{DATA}/data", SLS_IMAGES)
    return None if single is None else frames_of(path, single)


def _all_of(file: h5py.File, path: Path, numbered: list[str]) -> list[h5py.Dataset]:
    stacks = (optional_dataset(file, path, f"{DATA}/{name}") for name in numbered)
    return [stack for stack in stacks if stack is not None]


def _so_far(file: h5py.File, path: Path, numbered: list[str]) -> list[h5py.Dataset]:
    """The datasets up to the first whose file is not complete: data files appear in turn.

    Raises:
        ScanError: if there is none yet.
    """
    stacks: list[h5py.Dataset] = []
    for name in numbered:
        try:
            found = _all_of(file, path, [name])
        except ScanError:
            if not stacks:
                raise
            break
        if found and not found[0].shape[0]:
            break
        stacks += found
    return stacks


def _distance(file: h5py.File, path: Path) -> Found[float] | None:
    names = (f"{DETECTOR}/detector_distance", f"{DETECTOR}/distance")
    distance = optional_dataset(file, path, *names)
    return optional_number(path, distance, Quantity.LENGTH, "m")


def _pixel_size(file: h5py.File, path: Path) -> Found[float] | None:
    x, y = (optional_dataset(file, path, f"{DETECTOR}/{axis}_pixel_size") for axis in "xy")
    return square_pixel(path, x, y, "m")


def _energy(file: h5py.File, path: Path) -> Found[float] | None:
    """Photon energy in eV from the wavelength (by default in Å), else from an energy (in eV)."""
    wavelength = optional_dataset(file, path, f"{BEAM}/incident_wavelength")
    energy = optional_dataset(
        file,
        path,
        f"{BEAM}/incident_energy",
        f"{BEAM}/photon_energy",
        f"{DETECTOR}/detectorSpecific/photon_energy",
    )
    return energy_of_wavelength(path, wavelength, "angstrom") or optional_number(
        path, energy, Quantity.ENERGY, "eV"
    )


def _mask(file: h5py.File, path: Path) -> Found[NDArray[np.bool_]] | None:
    """Mask from all bits; 0: gap, 1: dead, 2 and 3: under- and over-responding, 4: noisy."""
    names = (f"{DETECTOR}/detectorSpecific/pixel_mask", f"{DETECTOR}/pixel_mask")
    dataset = optional_dataset(file, path, *names)
    if dataset is None:
        return None
    bits = mask_of(path, dataset)
    return Found(bits.value != 0, bits.where)


def _beam_centre(file: h5py.File, path: Path) -> Found[tuple[float, float]] | None:
    """Beam centre in pixels (row, column); None for 0, 0, which means never set."""
    x, y = (optional_dataset(file, path, f"{DETECTOR}/beam_center_{axis}") for axis in "xy")
    if x is None or y is None:
        return None
    centre_px = (number_of(path, y).value, number_of(path, x).value)
    where = f"/{DETECTOR}/beam_center_y, beam_center_x"
    return Found(centre_px, where) if any(centre_px) else None
