"""Four probes, and scans of known objects under each of them.

One measured probe of three modes, and three computed ones: a coherent zone plate, a partially
coherent one further out of focus, and a pair of mirrors (Kirkpatrick-Baez, whose pupil is a
rectangle). All at 10 keV, 128 px of 15.85 nm, detector binned 2 × 2 to a network's 64 px.
"""

import math
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import wnet_edge
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.io.scan_file import open_scan
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.forward import inverse_far_field
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.objects import Family
from wnet_edge.physics.probe import ZonePlate, defocus, fitted_probe, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

FULL_PX = 128
GEOMETRY = Geometry(10_000.0, 0.9, 55e-6)
PHOTONS = 5e7
EXAMPLES = Path(wnet_edge.__file__).parent / "examples"
SCAN_247 = EXAMPLES / "cnm26id_scan247_64px.cxi"
REFERENCE_247 = EXAMPLES / "cnm26id_scan247_reference.npz"


class ProbeName(str, Enum):
    """What lights the sample."""

    MEASURED = "cnm26id"
    ZONE_PLATE = "zone-plate"
    PARTIAL = "partially-coherent"
    MIRRORS = "mirrors"


class Sample(str, Enum):
    """What is scanned: one sample that calibrates, and three that are judged."""

    CALIBRATION = "calibration"
    LABYRINTH = "labyrinth"
    LINES = "lines"
    WEAK = "weak"


_FAMILY = {
    Sample.CALIBRATION: Family.THRESHOLDED,
    Sample.LABYRINTH: Family.LABYRINTH,
    Sample.LINES: Family.LINES,
    Sample.WEAK: None,
}
_SEED = {Sample.CALIBRATION: 12, Sample.LABYRINTH: 3, Sample.LINES: 5, Sample.WEAK: 7}
WEAK_PHASE_RAD = 0.15
"""Standard deviation of the weak sample's phase."""


def probe(name: ProbeName) -> NDArray[np.complex64]:
    """(modes, 128, 128), total intensity 1."""
    pixel_m = GEOMETRY.object_pixel_size_m(FULL_PX)
    window = {
        "wavelength_m": GEOMETRY.wavelength_m,
        "window_px": FULL_PX,
        "pixel_size_m": pixel_m,
    }
    if name is ProbeName.MEASURED:
        measured = open_scan(SCAN_247).probe
        assert measured is not None
        modes = fitted_probe(measured, FULL_PX)
    elif name is ProbeName.ZONE_PLATE:
        modes = zone_plate_probe(ZonePlate(defocus_m=100e-6), **window)
    elif name is ProbeName.PARTIAL:
        optics = ZonePlate(
            40e-9, central_stop_fraction=0.5, defocus_m=160e-6, source_size_m=25e-9, modes=2
        )
        modes = zone_plate_probe(optics, **window)
    else:
        q = np.abs(np.fft.fftshift(np.fft.fftfreq(FULL_PX, pixel_m)))
        pupil = (q[:, None] <= 1 / (2 * 35e-9)) & (q[None, :] <= 1 / (2 * 50e-9))
        focus = inverse_far_field(pupil[None].astype(np.complex64)).astype(np.complex64)
        modes = defocus(
            focus, distance_m=120e-6, wavelength_m=GEOMETRY.wavelength_m, pixel_size_m=pixel_m
        )
    unit: NDArray[np.complex64] = (modes / np.sqrt(np.sum(np.abs(modes) ** 2))).astype(np.complex64)
    return unit


def virtual_scan(name: ProbeName, sample: Sample, photons: float = PHOTONS) -> VirtualScan:
    """441 frames of a sample; the weak one is any object with its contrast turned down."""
    options = ScanOptions(
        frames=441,
        step_px=12,
        family=_FAMILY[sample],
        detector=Detector((photons, photons)),
        seed=_SEED[sample],
    )
    scan = VirtualScan(probe(name), options)
    if sample is Sample.WEAK:
        # exp(c · log O): phase and absorption of a material c times as thick.
        exponent = np.log(scan.object)
        contrast = WEAK_PHASE_RAD / float(exponent.imag.std())
        scan.object = np.exp(contrast * exponent).astype(np.complex64)
    return scan


def write_scan(path: Path, name: ProbeName, sample: Sample, photons: float = PHOTONS) -> None:
    """The scan with its probe, as CXI."""
    scan = virtual_scan(name, sample, photons)
    header = CxiHeader(
        geometry=GEOMETRY,
        positions_m=scan.positions_px * GEOMETRY.object_pixel_size_m(FULL_PX),
        frame_px=FULL_PX,
        mask=scan.mask,
        probe=(scan.probe * math.sqrt(photons)).astype(np.complex64),
        title=f"simulated scan of a {sample.value} sample under the {name.value} probe",
    )
    write_cxi(path, header, (LabelledFrames(b.frames) for b in scan.batches(64)), force=True)


def truth(name: ProbeName, sample: Sample) -> ObjectImage:
    """What was scanned."""
    pixel_m = GEOMETRY.object_pixel_size_m(FULL_PX)
    return ObjectImage(sample.value, virtual_scan(name, sample).object, None, pixel_m)
