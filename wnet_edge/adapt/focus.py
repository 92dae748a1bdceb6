"""The probe of a scan that holds none: focus found by trial, then improved on a part of the scan.

The mean frame shows the modulus of the optics' far field; how far the sample is from the focus is
tried over the whole range that the detector samples, each by how well it explains frames that were
held out. From the best, passes improve object and probe together, first one mode, then several.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.adapt.scan_part import ScanPart, Trial, tried
from wnet_edge.errors import ScanError
from wnet_edge.physics.optics import Optics, Pinhole, Sampling, guessed_probe, pupil

_COARSE_PASSES, _COARSE_FRAMES = 3, 64
"""Passes, and frames, to try a focus."""

_MODE_PASSES = 12
"""Passes to improve one mode, before others join it."""

_MOST_FOCI = 2
"""Foci from which a probe is improved, before the better one goes on."""

_WORTH_MODES = 0.97
"""Ratio of R-factors of held-out frames below which further modes are kept."""

_MOST_STEPS = 60

_SIDE_MODE_POWER = 0.05
"""Of the first mode, in each further one at the start."""

_LEAST_EXPLAINED = 0.15
"""Of a blank object's R-factor that the best focus must explain on frames held out: a wrong one
explains nothing of them, the right one of scan 247 30 %."""

_BLANK_BEAM = 0.9


@dataclass(frozen=True, eq=False)
class FoundProbe:
    """A probe that was found from a description of the optics.

    Attributes:
        modes: (modes, F, F) complex64, in √counts.
        defocus_m: where the search for the focus ended; None for a pinhole.
        trial: how well it explains frames held out.
    """

    modes: NDArray[np.complex64]
    defocus_m: float | None
    trial: Trial


def find_probe_by_focus(
    part: ScanPart,
    optics: Optics,
    sampling: Sampling,
    name: str,
    *,
    modes: int,
    passes: int,
    tell: Callable[[str], None],
) -> FoundProbe:
    """Find the focus, then improve the probe.

    Args:
        part: frames of the scan.
        optics: as described; with a defocus, only near that is searched.
        sampling: of the full window.
        name: of the scan, for messages.
        modes: number of modes of the probe, if more than one explain held-out frames better.
        passes: that improve it.
        tell: called with a line at the start of each step.

    Raises:
        SimulationError: if the optics are impossible or do not fit the window.
        ScanError: if no focus explains the frames.
    """
    mean, focuses = part.mean_frame, not isinstance(optics, Pinhole)
    tell("finding the focus")
    foci = _foci(part.middle(_COARSE_FRAMES), optics, sampling, mean) if focuses else [0.0]
    tell("reconstructing the probe from a part of the scan")
    begun = {}
    for at_m in foci:
        guess = guessed_probe(optics, sampling, mean, at_m)
        begun[at_m] = tried(part, guess, _MODE_PASSES, improve_probe=True)
    defocus_m = min(begun, key=lambda at_m: begun[at_m].r_held_out)
    best = begun[defocus_m]
    several = tried(part, with_side_modes(best.probe, modes), passes, improve_probe=True)
    found = tried(part, best.probe, passes, improve_probe=True)
    if several.r_held_out < _WORTH_MODES * found.r_held_out:
        found = several
    if 1 - found.r_held_out / found.r_blank < _LEAST_EXPLAINED:
        raise ScanError(
            f"{name}: no focus of these optics explains its frames (R-factor "
            f"{found.r_held_out:.3f} of frames held out, {found.r_blank:.3f} for a blank object); "
            "check the numbers of --optics and the orientation of frames and positions, or give a "
            "reconstructed probe with --probe"
        )
    return FoundProbe(found.probe, defocus_m if focuses else None, found)


def defocus_steps(
    optics: Optics, sampling: Sampling, mean_frame: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Distances from the focus to try, (n,) float64 m, two to a depth of focus.

    As far as the beam still fits in the window: beyond, the detector undersamples it. With a
    defocus that is told, half as far again on either side of it.
    """
    root = np.sqrt(np.nan_to_num(mean_frame)) * pupil(optics, sampling)
    rows, columns = sampling.frequencies_per_m
    q = np.hypot(rows, columns)
    # The radius of an evenly lit disc of as much mean square.
    edge = math.sqrt(2 * float(np.sum(root**2 * q**2) / np.sum(root**2)))
    depth_m = 1 / (sampling.wavelength_m * edge**2)
    span_m = sampling.window_px * sampling.pixel_size_m
    widest_m = _BLANK_BEAM * span_m / (2 * sampling.wavelength_m * edge)
    step_m = max(depth_m / 2, 2 * widest_m / _MOST_STEPS)
    told = None if isinstance(optics, Pinhole) else optics.defocus_m
    middle_m, reach_m = (0.0, widest_m) if told is None else (told, abs(told) / 2 + depth_m)
    count = max(int(reach_m / step_m), 1)
    return middle_m + step_m * np.arange(-count, count + 1, dtype=np.float64)


def with_side_modes(first: NDArray[np.complex64], modes: int) -> NDArray[np.complex64]:
    """A probe (1, F, F) with further modes, (modes, F, F), as a source of some size makes them.

    The derivatives of the first mode along rows and columns of the detector: a source's blur to
    second order (Thibault & Menzel, Nature 494, 68, 2013, on modes of partial coherence).
    """
    size_px = first.shape[-1]
    index = np.arange(size_px) - size_px // 2
    ramps = (index[:, None], index[None, :], index[:, None] * index[None, :])
    made = [first[0]]
    for ramp in ramps[: modes - 1]:
        side = first[0] * ramp
        for other in made:
            side = side - other * (np.vdot(other, side) / np.vdot(other, other))
        strength = math.sqrt(_SIDE_MODE_POWER) * np.linalg.norm(first) / np.linalg.norm(side)
        made.append((side * strength).astype(np.complex64))
    return np.stack(made).astype(np.complex64)


def _foci(
    part: ScanPart, optics: Optics, sampling: Sampling, mean: NDArray[np.float32]
) -> list[float]:
    """The most promising distances from the focus: local minima of the held-out R-factor."""
    steps_m = defocus_steps(optics, sampling, mean)
    r = np.array(
        [
            tried(part, guessed_probe(optics, sampling, mean, at_m), _COARSE_PASSES).r_held_out
            for at_m in steps_m.tolist()
        ]
    )
    padded = np.pad(r, 1, constant_values=np.inf)
    lowest = np.flatnonzero((r <= padded[:-2]) & (r <= padded[2:]))
    chosen = lowest[np.argsort(r[lowest], kind="stable")][:_MOST_FOCI]
    return [float(at_m) for at_m in steps_m[chosen]]
