"""Scans of these instruments, of objects that no training has drawn, with the truth beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.instruments.optics import BEAMLINES, InstrumentName
from benchmarks.refinement.unseen import OBJECTS
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

KINDS = ("star", "circuit", "cells")
"""A Siemens star, Manhattan lines of a layout, soft cells: none is a family of training's."""

EXPONENTS = (4, 5, 6, 7)
"""Counts per frame without the sample are 1e4 to 1e7."""

FRAMES, STEP_PX, SEED = 400, 8, 19
_BATCH = 50


@dataclass(frozen=True)
class ScanName:
    """One scan of the set.

    Attributes:
        instrument: that measures.
        kind: of object.
        exponent: counts per frame are 10 to it.
        with_probe: whether the file holds the probe.
    """

    instrument: InstrumentName
    kind: str
    exponent: int
    with_probe: bool = True

    def scan(self, folder: Path) -> Path:
        """Its file."""
        without = "" if self.with_probe else "_noprobe"
        return folder / f"{self.instrument.value}_{self.kind}_1e{self.exponent}{without}.cxi"

    def truth(self, folder: Path) -> Path:
        """Its object, for `wnet-edge compare`; that of all scans of this kind and instrument."""
        return folder / f"{self.instrument.value}_{self.kind}.npz"


def scan_names() -> Iterator[ScanName]:
    """All of the set, those with the probe first."""
    for with_probe in (True, False):
        for instrument in InstrumentName:
            for kind in KINDS:
                for exponent in EXPONENTS:
                    yield ScanName(instrument, kind, exponent, with_probe)


def write_scans(
    folder: Path, instrument: InstrumentName, kind: str, exponent: int, frames: int = FRAMES
) -> None:
    """A scan with and without its probe, and the true object; whatever is there is replaced.

    Args:
        folder: for all three; made if it is not there.
        instrument: that measures.
        kind: of object, one of `KINDS`.
        exponent: counts per frame are 10 to it.
        frames: their number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    beamline, photons = BEAMLINES[instrument], 10.0**exponent
    options = ScanOptions(frames, STEP_PX, detector=Detector((photons, photons)), seed=SEED)
    scan = VirtualScan(beamline.probe, options)
    scan.object = OBJECTS[kind](len(scan.object), np.random.default_rng(SEED))
    measured = [LabelledFrames(batch.frames) for batch in scan.batches(_BATCH)]
    for with_probe in (True, False):
        name = ScanName(instrument, kind, exponent, with_probe)
        probe = (scan.probe * np.sqrt(photons)).astype(np.complex64) if with_probe else None
        header = CxiHeader(
            geometry=beamline.geometry,
            positions_m=scan.positions_px * beamline.object_pixel_size_m,
            frame_px=beamline.frame_px,
            mask=scan.mask,
            probe=probe,
            title=f"simulated scan of {kind}, {instrument.value}, 1e{exponent} counts per frame",
        )
        write_cxi(name.scan(folder), header, measured, force=True)
    np.savez(
        ScanName(instrument, kind, exponent).truth(folder),
        object=scan.object,
        object_pixel_m=beamline.object_pixel_size_m,
        probe=scan.probe,
        window_top_left_px=scan.positions_px,
    )


def write_all(folder: Path) -> None:
    """Every scan that is not there yet."""
    for name in scan_names():
        if not name.scan(folder).exists():
            write_scans(folder, name.instrument, name.kind, name.exponent)
