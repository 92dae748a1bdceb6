"""One known scan as programs for ptychography write it: Ptychodus, PtyLab, ptypy."""

import h5py
import numpy as np
from layout_parts import put, write_parts

from wnet_edge.io.read_options import ReadOptions


def write_product(path, known):
    """A product as Ptychodus 1.7 saves it."""
    with h5py.File(path, "w") as file:
        file.attrs["detector_object_distance_m"] = known.geometry.distance_m
        file.attrs["photon_energy_eV"] = known.geometry.energy_ev
        file.attrs["far_field"] = True
        put(file, "probe_position_indexes", np.arange(len(known.frames)))
        put(file, "probe_position_y_m", known.positions_m[:, 0])
        put(file, "probe_position_x_m", known.positions_m[:, 1])
        probe = put(file, "probe", known.probe[None])
        for edge in ("height", "width"):
            probe.attrs[f"pixel_{edge}_m"] = 0.0


def ptychodus_product(folder, known):
    """A product of Ptychodus beside the frames in some HDF5 file."""
    product, path = folder / "product.h5", folder / "frames.h5"
    write_product(product, known)
    with h5py.File(path, "w") as file:
        put(file, "exchange/data", known.frames)
        put(file, "exchange/bad", known.mask.astype(np.uint8))
    options = ReadOptions(
        frames="/exchange/data",
        positions=str(product),
        probe=str(product),
        mask="exchange/bad",
        pixel_size_m=known.geometry.detector_pixel_size_m,
    )
    return path, options


def ptychodus_folder(folder, known):
    """A product of Ptychodus beside the diffraction that Ptychodus has assembled."""
    product, path = folder / "product.h5", folder / "diffraction.h5"
    write_product(product, known)
    with h5py.File(path, "w") as file:
        put(file, "indexes", np.arange(len(known.frames)), compression="lzf")
        patterns = put(file, "patterns", known.frames, compression="lzf")
        for edge in ("height", "width"):
            patterns.attrs[f"detector_pixel_{edge}_m"] = known.geometry.detector_pixel_size_m
        put(file, "bad_pixels", known.mask, compression="lzf")
    return path, ReadOptions(positions=str(product), probe=str(product))


def ptylab(folder, known):
    """Measured data of PtyLab, the probe from what a reconstruction saved."""
    path, reconstruction = folder / "scan.hdf5", folder / "reconstruction.hdf5"
    geometry = known.geometry
    with h5py.File(path, "w") as file:
        put(file, "ptychogram", known.frames.astype(np.float32))
        put(file, "encoder", known.positions_m)
        put(file, "dxd", [geometry.detector_pixel_size_m])
        put(file, "zo", [geometry.distance_m])
        put(file, "wavelength", [geometry.wavelength_m])
        put(file, "entrancePupilDiameter", [2e-6])
        put(file, "orientation", 0)
    with h5py.File(reconstruction, "w") as file:
        put(file, "probe", known.probe[None, None, :, None])
        put(file, "encoder_corrected", known.positions_m)
        put(file, "dxp", known.object_pixel_size_m)
    flags = write_parts(folder, known)
    return path, ReadOptions(probe=str(reconstruction), mask=flags["mask"])


def ptypy(folder, known):
    """A prepared scan of ptypy: one chunk inside, one in a file of its own."""
    path = folder / "scan.ptyd"
    half = len(known.frames) // 2
    with h5py.File(path, "w") as file:
        file.create_group("info").attrs["type"] = "dict"
        meta = file.create_group("meta")
        put(meta, "energy", known.geometry.energy_ev / 1e3)
        put(meta, "distance", known.geometry.distance_m)
        put(meta, "psize", np.full(2, known.geometry.detector_pixel_size_m))
        put(meta, "center", np.full(2, known.frame_px / 2))
        put(meta, "label", np.zeros(1)).attrs["type"] = "None"
        put(meta, "num_frames", len(known.frames))
        _ptypy_chunk(file.create_group("chunks/0"), known, slice(0, half))
        with h5py.File(folder / "scan.ptyd.part001", "w") as part:
            _ptypy_chunk(part, known, slice(half, None))
        file["chunks/1"] = h5py.ExternalLink("scan.ptyd.part001", "/")
    return path, ReadOptions(probe=write_parts(folder, known)["probe"])


def _ptypy_chunk(group, known, part):
    frames = known.frames[part]
    put(group, "indices", np.arange(len(known.frames))[part])
    put(group, "data", frames, compression="gzip")
    weights = np.broadcast_to(~known.mask, frames.shape).copy()
    weights[0, 0, 0] = False  # bad in one frame only
    put(group, "weights", weights, compression="gzip")
    put(group, "positions", known.positions_m[part], compression="gzip")
