"""How far a reconstruction is from its frames, by the measure of `infer --refine`.

With a probe that was held, frames are simulated in its full window, binned as the detector was;
with one that the engine has found, in the window that the engine saw.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.reference.scene import Scene
from wnet_edge.refining.misfit import Misfit
from wnet_edge.refining.passes import Passes, Scanned

_SAMPLED = 32
"""Frames, at most, whose R-factor is told after each epoch."""


def misfit_of(scene: Scene, numbers: NDArray[np.int64], threads: int, *, held: bool) -> Misfit:
    """Of the frames `numbers` of a scene, whose probe was `held` or not."""
    counts = scene.counts[numbers]
    corner_px = scene.windows_px[numbers]
    probe, binning = scene.probe, 1
    if held:
        corner_px = corner_px - scene.window_start_px
        probe, binning = scene.full_probe, scene.full_window_px // scene.frame_px
    scanned = Scanned(
        probe=probe,
        corner_px=corner_px,
        used=np.ones(len(numbers), np.bool_),
        binning=binning,
        read=lambda first, last: counts[first:last],
    )
    with Passes(scanned, scene.object, threads) as passes:
        return passes.misfit()


def some_frames(count: int) -> NDArray[np.int64]:
    """Numbers of some frames, evenly spread over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, _SAMPLED)).astype(np.int64))
