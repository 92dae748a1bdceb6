"""Writing an image as a Ptychodus product with probe and positions: a start for iterative engines.

For Ptychodus 1.6 and later, and through it pty-chi. There the centre of an array of n pixels is
index (n - 1) / 2: a probe at position x has its window's centre at (x - object's centre) / pixel +
(W - 1) / 2 on the object.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.io.containers.hdf5.output import replacing_hdf5
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.result_file import Result
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import positions_px

_MARGIN_PX = 4  # for interpolation at the rim, and for position correction by an engine


@dataclass(frozen=True)
class ProductGeometry:
    """Geometry that every product needs.

    Attributes:
        pixel_size_m: edge of an object pixel.
        energy_ev: photon energy.
        distance_m: sample-to-detector distance.
    """

    pixel_size_m: float
    energy_ev: float
    distance_m: float


def product_geometry(
    path: Path, context: ImageContext, pixel_size_m: float | None
) -> ProductGeometry:
    """The geometry for a product at `path`.

    Raises:
        ResultError: if any of it is unknown.
    """
    energy_ev, distance_m = context.energy_ev, context.distance_m
    if pixel_size_m is not None and energy_ev is not None and distance_m is not None:
        return ProductGeometry(pixel_size_m, energy_ev, distance_m)
    known = {
        "--energy-ev": energy_ev,
        "--distance-m": distance_m,
        "--pixel-size-m": pixel_size_m,
    }
    missing = ", ".join(option for option, value in known.items() if value is None)
    raise ResultError(
        f"{path}: a Ptychodus product needs photon energy, distance and object pixel, which the "
        f"scan does not tell; give {missing}"
    )


def write_ptychodus(
    path: Path, result: Result, context: ImageContext, *, force: bool = False
) -> None:
    """Write a product atomically.

    Positions stay those of the scan; the object's centre states where the image lies among them.
    Uncovered pixels of the object get the mean of the covered ones: zero would be opaque.

    Args:
        path: path of the file.
        result: the image.
        context: data of its scan.
        force: replace an existing file.

    Raises:
        ResultError: if the geometry is unknown, the file exists and `force` is False, or it can't
            be written.
    """
    geometry = product_geometry(path, context, result.pixel_size_m)
    with replacing_hdf5(path, force=force) as file:
        file.attrs["name"] = context.title
        file.attrs["comments"] = _comment(result)
        file.attrs["detector_object_distance_m"] = geometry.distance_m
        file.attrs["photon_energy_eV"] = geometry.energy_ev
        file.attrs["probe_energy_eV"] = geometry.energy_ev  # name before Ptychodus 1.7
        file.attrs["probe_photon_count"] = float(
            probe_intensity(context.probe).sum(dtype=np.float64)
        )
        file.attrs["far_field"] = True
        _write_positions(file, context)
        probe = file.create_dataset("probe", data=context.probe[None].astype(np.complex64))
        _write_pixel_size(probe, geometry)
        _write_object(file, result, context, geometry)


def _comment(result: Result) -> str:
    process = result.process
    if process.reference:
        return f"Reconstruction by pty-chi, {process.reference['engine']}, through wnet-edge"
    package = f", package {process.package_name}" if process.package_name else ""
    precision = f", {process.precision}" if process.precision else ""
    return f"Start image by wnet-edge{package}{precision}"


def _write_positions(file: h5py.File, context: ImageContext) -> None:
    """Write the positions of the frames that have one, with their frame numbers."""
    frames = np.flatnonzero(~context.left_out)
    file["probe_position_indexes"] = context.frame_numbers[frames]
    for axis, name in enumerate(("y", "x")):
        file[f"probe_position_{name}_m"] = context.positions_m[frames, axis]


def _write_object(
    file: h5py.File, result: Result, context: ImageContext, geometry: ProductGeometry
) -> None:
    pixel_size_m, full_px = geometry.pixel_size_m, context.full_window_px
    windows_px = positions_px(context.positions_m, pixel_size_m)
    first, image = _padded(result, windows_px, full_px)
    # A window at position p px begins at index p - first, so its centre is at index
    # p - first + (full - 1) / 2; the reader computes p - centre + (size - 1) / 2.
    centre_m = (first + (np.array(image.shape) - full_px) / 2) * pixel_size_m
    dataset = file.create_dataset("object", data=image[None])
    for axis, name in enumerate(("y", "x")):
        dataset.attrs[f"center_{name}_m"] = centre_m[axis]
    _write_pixel_size(dataset, geometry)
    file["object_layer_spacing_m"] = np.zeros(0)


def _padded(
    result: Result, windows_px: NDArray[np.float64], full_px: int
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """The image padded to contain all full windows, and the object position of its first pixel.

    The image itself only covers the network's windows, which may be smaller.
    """
    shape = np.array(result.phase.shape)
    whole = np.floor(windows_px).astype(np.int64)
    first = np.minimum(result.origin_px, whole.min(axis=0) - _MARGIN_PX)
    end = np.maximum(result.origin_px + shape, whole.max(axis=0) + full_px + _MARGIN_PX)
    seen, image = result.coverage > 0, result.image
    mean_phase = np.angle(np.sum(result.coverage * image))
    unseen = np.average(result.amplitude, weights=result.coverage) * np.exp(1j * mean_phase)
    canvas = np.full(end - first, unseen, dtype=np.complex64)
    row, column = (result.origin_px - first).tolist()
    inside = canvas[row : row + shape[0], column : column + shape[1]]
    inside[seen] = image[seen]
    return first, canvas


def _write_pixel_size(dataset: Any, geometry: ProductGeometry) -> None:  # noqa: ANN401 - h5py has no types
    for edge in ("height", "width"):
        dataset.attrs[f"pixel_{edge}_m"] = geometry.pixel_size_m
