"""One known scan in every HDF5 layout that is read, each as its own program would write it.

What a layout has no place for comes from a second file, by flag, as users have to give it.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import layouts_beamlines as beamlines
import layouts_programs as programs
import numpy as np
from known_data import KnownScanData
from layout_parts import geometry_flags, put, translation_of

from wnet_edge.io.read_options import ReadOptions

Layout = Callable[[Path, KnownScanData], tuple[Path, ReadOptions]]


def generic(folder, known):
    """An HDF5 file of no known layout: everything by flag."""
    path = folder / "scan.h5"
    with h5py.File(path, "w") as file:
        put(
            file, "measured/stack", known.frames, chunks=(1, *known.mask.shape), **hdf5plugin.Zstd()
        )
        put(file, "measured/where", translation_of(known) * 1e6)
        put(file, "measured/bad", known.mask.astype(np.uint8))
        put(file, "measured/beam", known.probe)
    options = ReadOptions(
        frames="measured/stack",
        positions="measured/where",
        positions_unit="um",
        mask="measured/bad",
        probe="measured/beam",
        **geometry_flags(known),
    )
    return path, options


LAYOUTS: dict[str, Layout] = {
    "cxi-data_1": beamlines.cxi_data_1,
    "cxi-detector_1": beamlines.cxi_detector_1,
    "cxi-detector_2": beamlines.cxi_detector_2,
    "nexus-ptycho": beamlines.nexus_ptycho,
    "nexus-cxi-ptycho": beamlines.nexus_cxi_ptycho,
    "nexus-plain": beamlines.nexus_plain,
    "eiger-master": beamlines.eiger_master,
    "eiger-eh5": beamlines.eiger_eh5,
    "eiger-data": beamlines.eiger_data,
    "ptychodus-product": programs.ptychodus_product,
    "ptychodus-folder": programs.ptychodus_folder,
    "ptylab": programs.ptylab,
    "ptypy": programs.ptypy,
    "hdf5": generic,
}
"""Each writes into a folder of its own, and gives the file to open with the flags it needs."""
