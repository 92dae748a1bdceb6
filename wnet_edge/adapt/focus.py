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

_COARSE_PASSES = 3
_FINE_PASSES = 4
_MODE_PASSES = 12
"""Passes: to try a focus, to try it more finely, to improve one mode before others join it."""

_COARSE_FRAMES = 64

_WORTH_MODES = 0.97
"""Ratio of R-factors of held-out frames below which further modes are kept."""

_MOST_STEPS = 60
_FINE_STEPS = 5

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
    mean = part.mean_frame
    defocus_m: float | None = None
    if isinstance(optics, Pinhole):
        guess = guessed_probe(optics, sampling, mean, 0.0)
    else:
        tell("finding the focus")
        steps_m, few = defocus_steps(optics, sampling, mean), part.middle(_COARSE_FRAMES)
        defocus_m = _best(few, optics, sampling, mean, steps_m, _COARSE_PASSES)
        near_m = defocus_m + _step(steps_m) * np.linspace(
            -0.75, 0.75, _FINE_STEPS, dtype=np.float64
        )
        defocus_m = _best(part, optics, sampling, mean, near_m, _FINE_PASSES)
        guess = guessed_probe(optics, sampling, mean, defocus_m)
    tell("reconstructing the probe from a part of the scan")
    one = tried(part, guess, _MODE_PASSES, improve_probe=True).probe
    several = tried(part, with_side_modes(one, modes), passes, improve_probe=True)
    found = tried(part, one, passes, improve_probe=True)
    if several.r_held_out < _WORTH_MODES * found.r_held_out:
        found = several
    if 1 - found.r_held_out / found.r_blank < _LEAST_EXPLAINED:
        raise ScanError(
            f"{name}: no focus of these optics explains its frames (R-factor "
            f"{found.r_held_out:.3f} of frames held out, {found.r_blank:.3f} for a blank object); "
            "check the numbers of --optics and the orientation of frames and positions, or give a "
            "reconstructed probe with --probe"
        )
    return FoundProbe(found.probe, defocus_m, found)


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


def _best(
    part: ScanPart,
    optics: Optics,
    sampling: Sampling,
    mean: NDArray[np.float32],
    steps_m: NDArray[np.float64],
    passes: int,
) -> float:
    """The distance with the least R-factor of the frames held out."""
    r = [
        tried(part, guessed_probe(optics, sampling, mean, float(at)), passes).r_held_out
        for at in steps_m
    ]
    return float(steps_m[int(np.argmin(r))])


def _step(steps_m: NDArray[np.float64]) -> float:
    return float(steps_m[1] - steps_m[0])
