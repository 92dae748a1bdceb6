"""What detectors and beamlines say in any HDF5 layout: square pixels, and energy or wavelength.

Between a layout's names and `FoundScan`; a number that a file holds as 0 was never set.
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
"""Photons of beamlines have 100 eV to 150 keV, whatever unit they are counted in."""


def optional_number(
    path: Path, dataset: h5py.Dataset | None, quantity: Quantity | None, unit: str | None
) -> Found[float] | None:
    """The number in a dataset as `number_of` reads it; None without a dataset, or where it is 0.

    Raises:
        ScanError: if it is not one number, or its unit is missing or unknown.
    """
    if dataset is None:
        return None
    number = number_of(path, dataset, quantity, unit)
    return number if number.value else None


def photon_energy(path: Path, dataset: h5py.Dataset | None, unit: str) -> Found[float] | None:
    """Photon energy in eV; None without a dataset, or where it is 0.

    Args:
        path: of the file.
        dataset: of one number, or of equal ones.
        unit: that the format prescribes, eV or J; where the dataset names none and photons of a
            beamline have no such energy, its unit is told by its size, and that is noted.

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
    """Photon energy in eV from a wavelength; None without a dataset, or where it is 0.

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
    """Edge of a pixel in metres; None where one of the two is missing, or 0.

    Raises:
        ScanError: if pixels are not square, or a size is no length.
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
