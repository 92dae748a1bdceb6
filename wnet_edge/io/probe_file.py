"""Reading of a probe with pixel size and energy from any file that has one, for simulation.

The file may be a scan, or have no frames: a Ptychodus product, an image that `wnet-edge infer`
wrote for Ptychodus or as CXI, an .npz with `probe`, an .npy, a dataset of any HDF5 file.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError, SimulationError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.hdf5.reader import followed, opened
from wnet_edge.io.containers.numpy_file import member_names, opened_npz
from wnet_edge.io.found import Found, FoundScan, Unreadable
from wnet_edge.io.parts.array_parts import as_probe
from wnet_edge.io.parts.complete_scan import known_geometry
from wnet_edge.io.parts.named_array import NamedArray, locate_file, read_array, read_npy_array
from wnet_edge.io.read_options import Part, ReadOptions
from wnet_edge.io.readers.flag_overrides import named_parts
from wnet_edge.io.scan_file import find_scan
from wnet_edge.physics.geometry import PLANCK_EV_M, Geometry, same_pixel_size
from wnet_edge.physics.instrument import Instrument

_ATTRIBUTE = "pixel_size_m"
_MEMBER = "probe"
_PIXELS = ("probe_pixel_height_m", "object_pixel_height_m", "object_pixel_m")
_ENERGY, _DISTANCE, _FAR_FIELD = "photon_energy_eV", "detector_object_distance_m", "far_field"
"""Members of an .npz that is no scan: Ptychodus products have all except the last pixel size, which
is that of a reference archive, as read by `compare`."""


@dataclass(frozen=True)
class MeasuredProbe:
    """A probe with pixel size, energy and distance, for simulation.

    Attributes:
        path: source file.
        modes: (modes, n, n) complex64, n the edge of the full window.
        object_pixel_size_m: edge of a pixel of the probe.
        energy_ev: photon energy.
        distance_m: sample-to-detector distance; None if unknown (only frame files need it).
    """

    path: Path
    modes: NDArray[np.complex64]
    object_pixel_size_m: float
    energy_ev: float
    distance_m: float | None

    @property
    def full_window_px(self) -> int:
        """Edge of a frame's window on the object."""
        return int(self.modes.shape[-1])

    @property
    def wavelength_m(self) -> float:
        """Photon wavelength."""
        return PLANCK_EV_M / self.energy_ev

    @property
    def geometry(self) -> Geometry:
        """Geometry whose detector pixel gives this object pixel for the full window.

        Raises:
            ScanError: if the distance is unknown.
        """
        if self.distance_m is None:
            raise ScanError(f"{self.path}: does not say how far the detector is; give --distance-m")
        span_m = self.object_pixel_size_m * self.full_window_px
        return Geometry(
            self.energy_ev, self.distance_m, self.wavelength_m * self.distance_m / span_m
        )


def find_probe(text: Part, options: ReadOptions | None = None) -> MeasuredProbe:
    """Read the probe given as `FILE` or `FILE:DATASET`, or take it from an array.

    Args:
        text: argument of the user, or the probe (modes, n, n) complex.
        options: energy, distance and detector pixel that override the file's.

    Raises:
        ScanError: in one line with the flag that helps, if the file has no probe, or its energy or
            pixel size is unknown or contradictory.
    """
    return probe_of(*_found(text, _numbers(options or ReadOptions())))


def probe_of(
    found: FoundScan, probe: Found[NDArray[np.complex64]], *, named: bool = False
) -> MeasuredProbe:
    """A probe with the values found in its file; `named` if the user named its dataset.

    Raises:
        ScanError: as `find_probe`.
    """
    if found.near_field is not None:
        raise ScanError(f"{found.path}: is near-field ({found.near_field}); give a far field")
    modes = probe.value
    if not np.isfinite(modes).all() or not modes.any():
        raise ScanError(
            f"{found.path}: {probe.where} is dark or holds NaN; name a measured probe with --probe"
        )
    pixel_m = _pixel_m(found, modes.shape[-1], named=named)
    if found.energy_ev is None:
        raise ScanError(f"{found.path}: does not say the photon energy; give --energy-ev")
    return MeasuredProbe(
        path=found.path,
        modes=modes,
        object_pixel_size_m=pixel_m,
        energy_ev=found.energy_ev.value,
        distance_m=None if found.distance_m is None else found.distance_m.value,
    )


def _found(text: Part, options: ReadOptions) -> tuple[FoundScan, Found[NDArray[np.complex64]]]:
    """Other content of the probe's file, and the probe."""
    if isinstance(text, np.ndarray):
        probe = as_probe(NamedArray(text, None, (), "the array"))
        alone = FoundScan(path=Path("probe"), format="NumPy array", probe=probe)
        return named_parts(alone, options, find_scan), probe
    path, dataset = locate_file(text)
    kind = kind_of(path)
    if dataset is None and kind is not FileKind.NPY:
        found = find_scan(path, options)
        if kind is FileKind.NPZ:
            found = _with_members(found, options)
        if kind is FileKind.HDF5:
            found = _with_attribute(found)
        if found.probe is None:
            raise ScanError(
                f"{path}: {found.format} has no probe; name a file that has one, or its dataset: "
                f"--probe {path}:/PATH"
            )
        return found, found.probe
    array = read_npy_array(path) if dataset is None else read_array(path, dataset)
    probe = as_probe(array)
    alone = FoundScan(path=path, format="probe", probe=probe)
    return named_parts(alone, options, find_scan), probe


def _numbers(options: ReadOptions) -> ReadOptions:
    """The options that apply to a probe without a scan."""
    return ReadOptions(
        energy_ev=options.energy_ev,
        distance_m=options.distance_m,
        pixel_size_m=options.pixel_size_m,
    )


def _with_attribute(found: FoundScan) -> FoundScan:
    """Add the pixel size from the probe dataset's attribute, as written by `wnet-edge infer`."""
    probe = found.probe
    if probe is None or isinstance(probe, Unreadable) or found.probe_pixel_size_m is not None:
        return found
    with opened(found.path) as file:
        dataset = followed(file, probe.where) if probe.where in file else None
        value = None if dataset is None else dataset.attrs.get(_ATTRIBUTE)
    size_m = float(value) if isinstance(value, (float, np.floating)) else math.nan
    return replace(found, probe_pixel_size_m=size_m) if 0 < size_m < math.inf else found


def _with_members(found: FoundScan, options: ReadOptions) -> FoundScan:
    """Add values from the .npz of a product or reconstruction that its reader has not used."""
    path = found.path
    with opened_npz(path) as archive:
        names = set(member_names(archive))
    if _MEMBER not in names or found.frames is not None:
        return found

    def number(name: str) -> Found[float] | None:
        """A positive number of the archive; None if it is missing or not positive (unknown)."""
        if name not in names:
            return None
        value = read_array(path, name).values
        known = value.size == 1 and value.dtype.kind in "uif" and 0 < value.item() < math.inf
        return Found(float(value.item()), name) if known else None

    array = read_array(path, _MEMBER)
    if array.values.ndim == 4:  # the first of several coherent (position-dependent) modes
        array = replace(array, values=array.values[0])
    pixels = [pixel.value for pixel in map(number, _PIXELS) if pixel is not None]
    near = _FAR_FIELD in names and not read_array(path, _FAR_FIELD).values.all()
    product = replace(
        found,
        probe=as_probe(array),
        object_pixel_size_m=next(iter(pixels), None),
        energy_ev=found.energy_ev or number(_ENERGY),
        distance_m=found.distance_m or number(_DISTANCE),
        near_field="the product's far_field is false" if near else found.near_field,
    )
    return named_parts(product, options, find_scan)


def _pixel_m(found: FoundScan, probe_px: int, *, named: bool) -> float:
    """Edge of a pixel of the probe, from the geometry or else as stated in the file.

    Raises:
        ScanError: if neither is known, or both are and differ.
    """
    geometry = known_geometry(found)
    written_m = found.probe_pixel_size_m or found.object_pixel_size_m
    if geometry is None:
        if written_m is None:
            raise ScanError(
                f"{found.path}: does not say how large a pixel of its probe is; give --energy-ev, "
                "--distance-m and --pixel-size-m (of the detector)"
            )
        return written_m
    told = (found.distance_m, found.pixel_size_m)
    by_flag = all(part is not None and part.where.startswith("--") for part in told)
    computed_m = geometry.object_pixel_size_m(probe_px)
    if written_m is not None and not by_flag:
        if not same_pixel_size(computed_m, written_m):
            raise ScanError(
                f"{found.path}: has a probe of {1e9 * written_m:.4g} nm per pixel, but energy, "
                f"distance and detector pixel make it {1e9 * computed_m:.4g} nm; give both "
                "--distance-m and --pixel-size-m, or neither"
            )
    elif written_m is None and found.frames is not None and not named:
        height_px, width_px = (n * found.binning for n in found.frames.value.shape[1:])
        if height_px == width_px != probe_px:  # other frames were cropped to the probe's window
            raise ScanError(
                f"{found.path}: its probe is of {probe_px} px, its frames are of {width_px} px, "
                "and a probe that was cut has other pixels than its far field says; name a "
                "probe of the full window with --probe, or a product, which says its pixel"
            )
    return computed_m


def instrument_of(probe: MeasuredProbe, window_px: int) -> Instrument:
    """The instrument of a probe, as a network with this window sees it.

    Raises:
        SimulationError: if the probe does not fit the window.
    """
    try:
        return Instrument(
            probe=probe.modes,
            window_px=window_px,
            binning=max(probe.full_window_px // window_px, 1),
            object_pixel_size_m=probe.object_pixel_size_m,
            wavelength_m=probe.wavelength_m,
        )
    except SimulationError as error:
        raise SimulationError(f"{probe.path}: {error}; choose another --window") from error
