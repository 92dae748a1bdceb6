"""Reading of pixel size and photon energy or wavelength, common to all HDF5 layouts.

A value of 0 counts as never set.
"""

import math
from pathlib import Path

import h5py

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.quantities import number_of, unit_of
from wnet_edge.io.containers.hdf5.reader import dataset_error
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found
from wnet_edge.physics.geometry import PLANCK_EV_M

_LARGEST_J = 1e-10
_LARGEST_KEV = 150.0
_LARGEST_EV = 1e6
"""Upper limit of a plausible energy; photon energies of beamlines are 100 eV to 150 keV."""


def optional_number(
    path: Path, dataset: h5py.Dataset | None, quantity: Quantity | None, unit: str | None
) -> Found[float] | None:
    """The number in a dataset, as by `number_of`; None without a dataset or if it is 0.

    Raises:
        ScanError: if it is not one number, or its unit is missing or unknown.
    """
    if dataset is None:
        return None
    number = number_of(path, dataset, quantity, unit)
    return number if number.value else None


def photon_energy(path: Path, dataset: h5py.Dataset | None, unit: str) -> Found[float] | None:
    """Photon energy in eV; None without a dataset or if it is 0.

    Args:
        path: path of the file.
        dataset: dataset of one number, or of equal ones.
        unit: unit prescribed by the format, eV or J; if the dataset has none and the energy is
            implausible, the unit is inferred from the value, with a note.

    Raises:
        ScanError: if it is not one number, or its unit is unknown.
    """
    energy = optional_number(path, dataset, Quantity.ENERGY, unit)
    if energy is None or dataset is None or unit_of(dataset):
        return energy
    likely, number = unit, number_of(path, dataset).value
    if number < _LARGEST_J:
        likely = "J"
    elif number < _LARGEST_KEV:
        likely = "keV"
    elif number <= _LARGEST_EV:
        likely = "eV"
    factor = unit_factor(likely, Quantity.ENERGY)
    if likely == unit or factor is None or number <= 0:
        return energy
    note = f"{energy.where} is {number:g} without a unit and is taken as {likely}; "
    return Found(number * factor, energy.where, notes=(f"{note}--energy-ev overrides it",))


def energy_of_wavelength(
    path: Path, dataset: h5py.Dataset | None, unit: str | None
) -> Found[float] | None:
    """Photon energy in eV from a wavelength; None without a dataset or if it is 0.

    Raises:
        ScanError: if it is not one positive number of known unit.
    """
    wavelength_m = optional_number(path, dataset, Quantity.LENGTH, unit)
    if wavelength_m is None:
        return None
    if wavelength_m.value < 0:
        raise dataset_error(path, dataset, f"is {wavelength_m.value:g} m", "write the wavelength")
    return Found(PLANCK_EV_M / wavelength_m.value, wavelength_m.where)


def square_pixel(
    path: Path, x: h5py.Dataset | None, y: h5py.Dataset | None, unit: str | None
) -> Found[float] | None:
    """Edge of a square pixel in metres; None if x or y is missing or 0.

    Raises:
        ScanError: if pixels are not square, or a size is not a length.
    """
    sizes = (
        optional_number(path, x, Quantity.LENGTH, unit),
        optional_number(path, y, Quantity.LENGTH, unit),
    )
    x_m, y_m = sizes
    if x_m is None or y_m is None:
        return None
    if not math.isclose(x_m.value, y_m.value, rel_tol=1e-3):
        raise ScanError(
            f"{path}: {x_m.where} is {x_m.value:.4g} m, {y_m.where} {y_m.value:.4g} m; "
            "bin frames to square pixels"
        )
    return x_m
