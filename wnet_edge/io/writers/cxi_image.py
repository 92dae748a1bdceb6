"""Writing an image as a CXI 1.6 file: an Image class with the complex object, extent and mask.

For programs that read the Coherent X-ray Imaging format (Maia, Nature Methods 9, 854, 2012;
cxidb.org/cxi.html). CXI orders coordinates x, y, z; arrays are row, column.
"""

from pathlib import Path

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.output import replacing_hdf5
from wnet_edge.io.containers.units import JOULE_PER_EV
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.located_image import CXI_IMAGE
from wnet_edge.io.images.result_file import Process, Result
from wnet_edge.io.readers.cxi import DETECTOR, SOURCE
from wnet_edge.io.writers.cxi_writer import CXI_VERSION, put, put_translation

INVALID_PIXEL = 0x1
"""Mask bit of a pixel without a value (CXI 1.6, table of pixel masks)."""


def write_cxi_image(
    path: Path, result: Result, context: ImageContext, *, force: bool = False
) -> None:
    """Write the image with mask, coverage, probe and positions atomically.

    Beyond CXI 1.6, image_1 has `coverage`, `x_pixel_size` and `y_pixel_size`, and the attribute
    `origin_px` of `data`: object row, column of image pixel (0, 0), counted from position (0, 0);
    a window at translation (x, y) begins at (y, x) / pixel size on the object.

    Args:
        path: path of the file.
        result: the image.
        context: data of its scan.
        force: replace an existing file.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
    """
    with replacing_hdf5(path, force=force) as file:
        file["cxi_version"] = CXI_VERSION
        file["number_of_entries"] = 1
        file["entry_1/title"] = context.title
        _write_instrument(file, context, result.pixel_size_m)
        _write_image(file, result)
        _write_process(file, result.process)
        positions_m = np.where(context.left_out[:, None], np.nan, context.positions_m)
        put_translation(file, positions_m)
        file["entry_1/data_1/data"] = h5py.SoftLink(f"/{CXI_IMAGE}/data")


def _write_instrument(file: h5py.File, context: ImageContext, pixel_size_m: float | None) -> None:
    illumination = f"{SOURCE}/illumination"
    file[illumination] = context.probe.astype(np.complex64, copy=False)
    if pixel_size_m is not None:
        file[illumination].attrs["pixel_size_m"] = pixel_size_m
    if context.energy_ev is not None:
        put(file, f"{SOURCE}/energy", context.energy_ev * JOULE_PER_EV, "J")
    file[f"{CXI_IMAGE}/source_1"] = h5py.SoftLink(file[SOURCE].name)
    if context.distance_m is not None:
        put(file, f"{DETECTOR}/distance", context.distance_m, "m")
        file[f"{CXI_IMAGE}/detector_1"] = h5py.SoftLink(file[DETECTOR].name)


def _write_image(file: h5py.File, result: Result) -> None:
    height, width = result.phase.shape
    group = file[CXI_IMAGE]
    group["data"] = result.image
    group["data"].attrs["axes"] = "y:x"
    group["data"].attrs["origin_px"] = result.origin_px
    group["data_type"] = "amplitude"  # CXI's name for a complex image: the transmission function
    group["data_space"] = "real"
    group["dimensionality"] = 2
    group["is_fft_shifted"] = 0
    group["image_center"] = np.array([width / 2, height / 2, 0])  # pixel corners are integers
    group["mask"] = np.where(result.coverage > 0, 0, INVALID_PIXEL).astype(np.uint32)
    group["coverage"] = result.coverage.astype(np.float32, copy=False)
    pixel_size_m = result.pixel_size_m
    if pixel_size_m is not None:
        extent_m = np.array([width, height, 0]) * pixel_size_m
        put(file, f"{CXI_IMAGE}/image_size", extent_m, "m")
        for axis in "xy":
            put(file, f"{CXI_IMAGE}/{axis}_pixel_size", pixel_size_m, "m")


def _write_process(file: h5py.File, process: Process) -> None:
    group = file.create_group(f"{CXI_IMAGE}/process_1")
    group["program"] = "wnet-edge"
    group["version"] = process.versions.get("wnet-edge", "")
    group["command"] = process.command_line
    group["date"] = process.date
    group["note"] = (
        f"package {process.package_name} (SHA-256 {process.package_sha256}), {process.precision}, "
        f"amplitude relative to {process.amplitude_scale}, from {process.source}"
    )
