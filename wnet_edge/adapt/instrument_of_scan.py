"""The instrument of a scan: its probe, in the window that suits it, and the scan as it is seen so.

found scan → probe of the file, or guessed from optics → tested and mended on frames → window.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.adapt.focus import find_probe_by_focus
from wnet_edge.adapt.options import AdaptOptions
from wnet_edge.adapt.sampling import ChosenWindow, choose_window
from wnet_edge.adapt.scan_part import FEWEST_FRAMES, scan_part
from wnet_edge.adapt.scan_probe import centred, on_grid, put_right
from wnet_edge.errors import ScanError
from wnet_edge.framing.compatibility import check_far_field, nearest_neighbour_m
from wnet_edge.framing.for_network import framed_for, own_probe
from wnet_edge.framing.framing import FramedScan
from wnet_edge.framing.survey import survey
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.parts.complete_scan import known_geometry, required_frames
from wnet_edge.physics.geometry import Geometry, same_pixel_size
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.optics import Lens, Optics, Sampling, guessed_probe
from wnet_edge.physics.probe import probe_diameter_px
from wnet_edge.runner.graph.device import usable_cores
from wnet_edge.scan.detector_window import DetectorWindow

_MODES, _PASSES = 3, 25
"""Of a probe that is found from optics, and passes that improve it."""

_STEP_PX = 64
_MOST_PX = 256
"""Full windows in which optics are tried: multiples of the smaller network's window, at most."""


@dataclass(frozen=True, eq=False)
class SeenInstrument:
    """An instrument, and one of its scans as a network of it sees it.

    Attributes:
        instrument: probe, window, binning, object pixel, wavelength.
        framed: the scan.
        probe_from: where the probe comes from.
        choices: what was chosen and mended, one line each.
    """

    instrument: Instrument
    framed: FramedScan
    probe_from: str
    choices: tuple[str, ...]


def seen_instrument(
    found: FoundScan, options: AdaptOptions, tell: Callable[[str], None]
) -> SeenInstrument:
    """Find the instrument of a scan.

    Args:
        found: the scan, with the user's overrides.
        options: of the adaptation.
        tell: called with a line at the start of each step.

    Raises:
        ScanError: if the scan is near-field, lacks a part, does not overlap, or its probe does
            not fit the detector.
        SimulationError: if the optics are impossible.
        PackageError: if probe and detector are of different instruments.
    """
    required_frames(found)
    geometry = _required_geometry(found)
    check_far_field(found)
    if options.optics is None:
        modes, where = _given_probe(found, geometry, named=options.reading.probe is not None)
        placed, chosen = _placed(found, options, geometry, modes)
        part = scan_part(placed.framed.scan, usable_cores())
        if len(part.counts) >= FEWEST_FRAMES:
            right = put_right(placed.instrument.probe, part, tell)
            notes = right.notes
            if notes:
                placed, chosen = _placed(found, options, geometry, right.modes)
        else:
            notes = (f"the probe is taken as it is: {len(part.counts)} frames can't test it",)
    else:
        modes, where = _probe_from_optics(found, options, geometry, options.optics, tell)
        placed, chosen = _placed(found, options, geometry, modes)
        notes = ()
    _check_overlap(placed)
    return replace(placed, probe_from=where, choices=(chosen.why, *notes))


def seen_again(
    found: FoundScan,
    options: AdaptOptions,
    instrument: Instrument,
    probe_from: str,
    choices: tuple[str, ...],
) -> SeenInstrument:
    """The scan as an instrument that was found in it before sees it.

    Raises:
        ScanError: if the scan has changed and does not fit any more.
        PackageError: likewise.
    """
    return SeenInstrument(instrument, _framed(found, instrument, options), probe_from, choices)


def _required_geometry(found: FoundScan) -> Geometry:
    if found.near_field is not None:
        raise ScanError(
            f"{found.path}: is near-field ({found.near_field}), and a network needs the far "
            "field; give a far-field scan"
        )
    geometry = known_geometry(found)
    if geometry is None:
        raise ScanError(
            f"{found.path}: does not say its energy, distance and detector pixel, from which the "
            "instrument is simulated; give --energy-ev, --distance-m and --pixel-size-m"
        )
    return geometry


def _span_m(geometry: Geometry) -> float:
    """Field of view of a full window, which does not depend on how much of the detector it is."""
    return geometry.object_pixel_size_m(1)


def _given_probe(
    found: FoundScan, geometry: Geometry, *, named: bool
) -> tuple[NDArray[np.complex64], str]:
    """The probe (modes, n, n) over the span of a full window, centred, and where it is from."""
    if found.probe is None:
        raise ScanError(
            f"{found.path}: has no probe; give one with --probe FILE, or say what lights the "
            "sample: --optics zone-plate:diameter=…,outermost-zone=…, --optics kb:…, --optics "
            "pinhole:… or --optics lens"
        )
    probe = own_probe(found, found.path, named=named)
    if not same_pixel_size(probe.wavelength_m, geometry.wavelength_m):
        raise ScanError(
            f"{found.path}: its probe is of {probe.energy_ev:.6g} eV, the scan of "
            f"{geometry.energy_ev:.6g} eV; give a probe of this energy, or --optics"
        )
    span_m = _span_m(geometry)
    size_px = round(span_m / probe.object_pixel_size_m)
    modes, shift = centred(on_grid(probe.modes, probe.object_pixel_size_m, span_m, size_px))
    moved = "" if max(map(abs, shift)) < 2 else f", centred (by {shift[0]}, {shift[1]} px)"
    modes_text = "1 mode" if len(modes) == 1 else f"{len(modes)} modes"
    return modes, f"{found.probe.where}{moved}, {modes_text}"


def _probe_from_optics(
    found: FoundScan,
    options: AdaptOptions,
    geometry: Geometry,
    optics: Optics,
    tell: Callable[[str], None],
) -> tuple[NDArray[np.complex64], str]:
    """A probe (modes, F, F) that a part of the scan has shown, and how it was found."""
    detector_px = min(required_frames(found).value.shape[1:]) * found.binning
    full_px = min(detector_px, _MOST_PX) // _STEP_PX * _STEP_PX
    if not full_px:
        raise ScanError(
            f"{found.path}: frames of {detector_px} px are too small; record {_STEP_PX} and more"
        )
    sampling = Sampling(geometry.wavelength_m, full_px, geometry.object_pixel_size_m(full_px))
    template = _template(found, options, optics, sampling)
    instrument = Instrument(template, full_px, 1, sampling.pixel_size_m, geometry.wavelength_m)
    framed = _framed(found, instrument, options)
    part = scan_part(framed.scan, usable_cores())
    if len(part.counts) < FEWEST_FRAMES:
        raise ScanError(
            f"{found.path}: {len(part.counts)} frames are too few to find a probe from optics; "
            f"give {FEWEST_FRAMES} and more that overlap, or a probe with --probe"
        )
    found_probe = find_probe_by_focus(
        part, optics, sampling, str(found.path), modes=_MODES, passes=_PASSES, tell=tell
    )
    modes, _ = centred(found_probe.modes)
    focus = (
        ""
        if found_probe.defocus_m is None
        else f", sample {1e6 * found_probe.defocus_m:.0f} µm from the focus"
    )
    trial = found_probe.trial
    return modes, (
        f"reconstructed from {int((~part.held_out).sum())} frames{focus}: R-factor of frames "
        f"held out {trial.r_held_out:.3f}, {trial.r_blank:.3f} for a blank object"
    )


def _template(
    found: FoundScan, options: AdaptOptions, optics: Optics, sampling: Sampling
) -> NDArray[np.complex64]:
    """A probe whose far field finds the beam on the detector, (1, F, F)."""
    blank = np.zeros((sampling.window_px,) * 2, np.float32)
    if not isinstance(optics, Lens):
        return guessed_probe(optics, sampling, blank, 0.0)
    looked = survey(found)
    told = found.beam_centre_px
    centre = _centroid(looked.mean) if told is None else told.value
    window = DetectorWindow(
        detector_shape=(looked.mean.shape[0], looked.mean.shape[1]),
        size_px=sampling.window_px // found.binning,
        centre_px=(round(centre[0]), round(centre[1])),
        orientation=options.turns.frames,
    )
    seen = window.cut(looked.mean)
    size = window.size_px
    start = (sampling.window_px - size) // 2
    blank[start : start + size, start : start + size] = seen
    return guessed_probe(optics, sampling, blank, 0.0)


def _centroid(mean: NDArray[np.float32]) -> tuple[float, float]:
    """Row, column of the mean frame's centroid."""
    total = max(float(mean.sum(dtype=np.float64)), 1e-30)
    rows, columns = (np.arange(n) for n in mean.shape)
    row = float(mean.sum(axis=1, dtype=np.float64) @ rows) / total
    column = float(mean.sum(axis=0, dtype=np.float64) @ columns) / total
    return row, column


def _placed(
    found: FoundScan, options: AdaptOptions, geometry: Geometry, modes: NDArray[np.complex64]
) -> tuple[SeenInstrument, ChosenWindow]:
    """The instrument with the window that suits a probe (modes, n, n), and the scan in it."""
    detector_px = min(required_frames(found).value.shape[1:]) * found.binning
    span_m = _span_m(geometry)
    chosen = choose_window(
        modes,
        detector_px,
        span_m,
        str(found.path),
        stored_binning=found.binning,
        window_px=options.window_px,
        binning=options.binning,
    )
    probe = on_grid(modes, span_m / modes.shape[-1], span_m, chosen.full_px)
    instrument = Instrument(
        probe=probe,
        window_px=chosen.window_px,
        binning=chosen.binning,
        object_pixel_size_m=span_m / chosen.full_px,
        wavelength_m=geometry.wavelength_m,
    )
    framed = _framed(found, instrument, options)
    return SeenInstrument(instrument, framed, "", ()), chosen


def _framed(found: FoundScan, instrument: Instrument, options: AdaptOptions) -> FramedScan:
    """The scan framed by the instrument's probe, which it then carries as its own."""
    probe = Found(instrument.probe, "the adapted probe")
    own = replace(found, probe=probe, probe_pixel_size_m=None)
    return framed_for(own, instrument, options.model.value, options.turns)


def _check_overlap(seen: SeenInstrument) -> None:
    """See that neighbouring frames share some of the object.

    Raises:
        ScanError: if they do not.
    """
    scan, instrument = seen.framed.scan, seen.instrument
    diameter_m = probe_diameter_px(instrument.probe) * instrument.object_pixel_size_m
    step_m = nearest_neighbour_m(scan.positions_m[~scan.left_out])
    if step_m >= diameter_m:
        raise ScanError(
            f"{scan.path}: neighbouring frames are {1e9 * step_m:.3g} nm apart, but 90 % of the "
            f"probe's power lies within {1e9 * diameter_m:.3g} nm: they do not overlap; take "
            "smaller steps, or check the unit of the positions (--positions-unit)"
        )
