"""One known scan as beamlines write it: CXI, NeXus, and the files of Eiger detectors."""

import h5py
import hdf5plugin
import numpy as np
from layout_parts import geometry_flags, nx_group, put, translation_of, write_parts

from wnet_edge.io.containers.units import JOULE_PER_EV
from wnet_edge.io.read_options import ReadOptions


def _cxi(folder, known, frames, detector):
    path = folder / "scan.cxi"
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        entry = file.create_group("entry_1")
        put(entry, "instrument_1/source_1/energy", known.geometry.energy_ev * JOULE_PER_EV)
        put(entry, "instrument_1/source_1/illumination", known.probe)
        if detector != "detector_1":
            put(entry, "instrument_1/detector_1/description", "fluorescence")
        at = entry.create_group(f"instrument_1/{detector}")
        put(at, "distance", known.geometry.distance_m, "m")
        for axis in "xy":
            put(at, f"{axis}_pixel_size", known.geometry.detector_pixel_size_m * 1e6, "um")
        put(at, "mask", np.where(known.mask, 1, 0x10000).astype(np.uint32))
        put(entry, frames, known.frames, chunks=(1, *known.mask.shape), compression="gzip")
        put(entry, "sample_1/geometry_1/translation", translation_of(known))
    return path, ReadOptions()


def cxi_data_1(folder, known):
    """CXI, frames in data_1 only."""
    return _cxi(folder, known, "data_1/data", "detector_1")


def cxi_detector_1(folder, known):
    """CXI, frames in detector_1 only."""
    return _cxi(folder, known, "instrument_1/detector_1/data", "detector_1")


def cxi_detector_2(folder, known):
    """CXI, frames in a second detector; the first has none."""
    return _cxi(folder, known, "instrument_1/detector_2/data", "detector_2")


def _nx_detector(instrument, known, name):
    detector = nx_group(instrument, name, "NXdetector")
    put(detector, "data", known.frames, chunks=(1, *known.mask.shape), **hdf5plugin.LZ4())
    put(detector, "distance", known.geometry.distance_m * 1e3, "mm")
    for axis in "xy":
        put(detector, f"{axis}_pixel_size", known.geometry.detector_pixel_size_m)
        put(detector, f"beam_center_{axis}", known.frame_px / 2, "pixels")
    put(detector, "pixel_mask", known.mask.astype(np.uint32) * 16)
    return detector


def nexus_ptycho(folder, known):
    """NXptycho with names of its own, energy in keV, motors in µm; another entry is the default."""
    path = folder / "scan.nxs"
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "raw"
        nx_group(file, "raw", "NXentry")
        entry = nx_group(file, "pty", "NXentry")
        entry["definition"] = "NXptycho"
        instrument = nx_group(entry, "i13", "NXinstrument")
        ring = nx_group(instrument, "ring", "NXsource")
        put(ring, "energy", 3.0e6, "keV")
        put(ring, "probe", "x-ray")
        beam = nx_group(instrument, "coherent", "NXbeam")
        put(beam, "incident_beam_energy", [known.geometry.energy_ev / 1e3], "keV")
        put(beam, "illumination", known.probe)
        detector = _nx_detector(instrument, known, "excalibur")
        motors = nx_group(nx_group(entry, "etched", "NXsample"), "stage", "NXtransformations")
        for axis, name in enumerate(("y", "x")):
            put(motors, name, known.positions_m[:, axis] * 1e6, "um")
        data = nx_group(entry, "plot", "NXdata")
        data.attrs["signal"] = "data"
        data["data"] = h5py.SoftLink(detector["data"].name)
    return path, ReadOptions()


def nexus_cxi_ptycho(folder, known):
    """NXcxi_ptycho: CXI's names and NeXus's classes; frames come through a virtual dataset."""
    path = folder / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        entry = nx_group(file, "entry_1", "NXentry")
        entry["definition"] = "NXcxi_ptycho"
        instrument = nx_group(entry, "instrument_1", "NXinstrument")
        source = nx_group(instrument, "source_1", "NXsource")
        put(source, "energy", 3.0e9, "eV")
        put(source, "illumination", known.probe)
        beam = nx_group(instrument, "beam_1", "NXbeam")
        put(beam, "energy", known.geometry.energy_ev * JOULE_PER_EV)
        put(beam, "extent", 4e-6, "m")
        detector = _nx_detector(instrument, known, "detector_1")
        put(detector, "translation", translation_of(known), "m")
        frames = detector["data"]
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        layout[:] = h5py.VirtualSource(".", frames.name, frames.shape)
        data = nx_group(entry, "data_1", "NXcollection")
        data.create_virtual_dataset("data", layout)
        data["translation"] = h5py.SoftLink(detector["translation"].name)
    return path, ReadOptions()


def nexus_plain(folder, known):
    """A NeXus file as nexusformat writes it: an NXdata over an NXdetector's frames."""
    from nexusformat import nexus as nx

    path = folder / "scan.nxs"
    rows, columns = known.positions_m.T
    geometry = known.geometry
    pixel = geometry.detector_pixel_size_m
    detector = nx.NXdetector(
        distance=nx.NXfield(geometry.distance_m, units="m"),
        x_pixel_size=nx.NXfield(pixel * 1e3, units="mm"),
        y_pixel_size=nx.NXfield(pixel * 1e3, units="mm"),
        pixel_mask=known.mask.astype(np.uint32),
    )
    wavelength = nx.NXfield(geometry.wavelength_m * 1e10, units="angstrom")
    data = nx.NXdata(nx.NXfield(known.frames, name="counts"))
    data["sample_x"] = nx.NXfield(columns * 1e9, units="nm")
    data["sample_y"] = nx.NXfield(rows * 1e9, units="nm")
    for name in ("sample_x", "sample_y"):
        data.attrs[f"{name}_indices"] = 0
    data.attrs["axes"] = ["sample_y", ".", "."]
    entry = nx.NXentry(
        data,
        nx.NXinstrument(detector, nx.NXmonochromator(wavelength=wavelength)),
        probe=nx.NXfield(known.probe),
    )
    root = nx.NXroot(entry)
    data.set_default()
    root.save(str(path), mode="w")
    return path, ReadOptions()


def eiger_master(folder, known):
    """A master of a Dectris Eiger with two data files."""
    half = len(known.frames) // 2
    path = folder / "scan_master.h5"
    with h5py.File(path, "w") as file:
        nx_group(file, "entry", "NXentry")
        nx_group(file, "entry/data", "NXdata")
        for number, part in enumerate((known.frames[:half], known.frames[half:]), 1):
            name = f"scan_data_{number:06d}.h5"
            with h5py.File(folder / name, "w") as data_file:
                put(
                    data_file,
                    "entry/data/data",
                    part,
                    chunks=(1, *known.mask.shape),
                    **hdf5plugin.Bitshuffle(),
                )
            file[f"entry/data/data_{number:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
        detector = file.create_group("entry/instrument/detector")
        put(detector, "detector_distance", np.float64(known.geometry.distance_m), "m")
        for axis in "xy":
            put(detector, f"{axis}_pixel_size", known.geometry.detector_pixel_size_m, "m")
            put(detector, f"beam_center_{axis}", np.float32(known.frame_px / 2), "pixel")
        put(detector, "detectorSpecific/pixel_mask", known.mask.astype(np.uint32) << 3)
        wavelength = known.geometry.wavelength_m * 1e10
        put(file, "entry/instrument/beam/incident_wavelength", wavelength, "angstrom")
    flags = write_parts(folder, known)
    return path, ReadOptions(positions=flags["positions"], probe=flags["probe"])


def _eiger_single(folder, known, name):
    path = folder / "scan.h5"
    with h5py.File(path, "w") as file:
        put(file, name, known.frames, chunks=(1, *known.mask.shape), **hdf5plugin.Bitshuffle())
    return path, ReadOptions(**write_parts(folder, known), **geometry_flags(known))


def eiger_eh5(folder, known):
    """One data file of an Eiger at the Swiss Light Source."""
    return _eiger_single(folder, known, "eh5/images")


def eiger_data(folder, known):
    """One data file of a Dectris Eiger."""
    return _eiger_single(folder, known, "entry/data/data")
