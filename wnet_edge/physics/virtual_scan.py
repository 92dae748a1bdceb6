"""Simulated scan of a procedural object: raster positions, frames and ground-truth patches.

Written by `wnet-edge simulate`: the forward model of training on one large object instead of many
small ones, so that the stitched image can be compared with the ground truth.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.host.memory import check_memory
from wnet_edge.physics.detector import Detector, detect, draw_mask
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.gauge import labels
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.objects import Family, draw_object

_LARGEST_CANVAS_PX = 16_384

_BYTES_PER_CANVAS_PX = 64
"""Memory per pixel while a canvas is drawn: the complex64 object and intermediate fields."""


@dataclass(frozen=True)
class ScanOptions:
    """Parameters of a simulated scan.

    Attributes:
        frames: number of positions, on the smallest raster that holds them.
        step_px: raster step in object pixels; positions are jittered by up to a quarter of it.
        family: family of the object; None for a mosaic of all.
        tile_px: edge of a mosaic's tiles: a few windows, so that most frames see a single family.
        window_px: edge of the labels, the central part of the probe's window.
        detector: flux, background, dead pixels.
        seed: seed of all random numbers.
    """

    frames: int = 400
    step_px: int = 10
    family: Family | None = None
    tile_px: int = 384
    window_px: int = 64
    detector: Detector = field(default_factory=lambda: Detector((5e7, 5e7)))
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.frames < 1 or self.step_px < 1:
            raise SimulationError("a scan has at least 1 frame and a step of 1 pixel")


class VirtualScan:
    """A procedural object and its simulated frames under a probe.

    Args:
        probe: (modes, H, W) complex64; normalised to total intensity 1.
        options: parameters of the scan.

    Attributes:
        probe: normalised to total intensity 1.
        object: (rows, columns) complex64.
        positions_px: (N, 2) int64 row, column of the top-left pixel of each frame's window.
        mask: (H, W) bool, dead detector pixels.

    Raises:
        SimulationError: if the probe is zero or smaller than the labels, or the raster too large.
    """

    def __init__(self, probe: NDArray[np.complex64], options: ScanOptions) -> None:
        window_px = probe.shape[-1]
        power = float(np.sum(np.abs(probe) ** 2))
        if not power > 0 or options.window_px > window_px:
            raise SimulationError(
                f"simulation needs a bright probe of at least {options.window_px} pixels"
            )
        self.probe = (probe / np.float32(math.sqrt(power))).astype(np.complex64)
        self.options = options
        rng = np.random.default_rng(options.seed)
        self.positions_px = _raster(options, rng)
        canvas_px = int(self.positions_px.max()) + window_px
        if canvas_px > _LARGEST_CANVAS_PX:
            raise SimulationError(
                f"{options.frames} frames at steps of {options.step_px} px need an object of "
                f"{canvas_px} px; at most {_LARGEST_CANVAS_PX} can be drawn: fewer or closer frames"
            )
        check_memory(
            _BYTES_PER_CANVAS_PX * canvas_px**2,
            f"{options.frames} frames at steps of {options.step_px} px",
            "fewer or closer frames",
            SimulationError,
        )
        self.object = _draw_sample(options, canvas_px, rng)
        self.mask = draw_mask((window_px, window_px), options.detector, rng=rng)

    def batches(self, size: int) -> Iterator[LabelledFrames]:
        """All frames with labels, in scan order, in batches of up to `size`; reproducible."""
        rng = np.random.default_rng([self.options.seed, 1])
        window_px = self.probe.shape[-1]
        for start in range(0, self.options.frames, size):
            corners = self.positions_px[start : start + size]
            patches = np.stack(
                [self.object[r : r + window_px, c : c + window_px] for r, c in corners]
            )
            expected = expected_counts(patches, self.probe)
            counts = detect(expected, self.options.detector, self.mask, rng=rng)
            known = labels(patches, self.probe, self.options.window_px)
            yield LabelledFrames(counts, known)


def _raster(options: ScanOptions, rng: np.random.Generator) -> NDArray[np.int64]:
    columns = math.ceil(math.sqrt(options.frames))
    index = np.arange(options.frames)
    raster = np.stack([index // columns, index % columns], axis=1) * options.step_px
    jitter = options.step_px // 4
    jittered: NDArray[np.int64] = raster + rng.integers(0, jitter + 1, raster.shape)
    return jittered


def _draw_sample(
    options: ScanOptions, canvas_px: int, rng: np.random.Generator
) -> NDArray[np.complex64]:
    if options.family is not None:
        return draw_object(options.family, canvas_px, rng=rng)
    families, tile_px = list(Family), options.tile_px
    sample = np.empty((canvas_px, canvas_px), np.complex64)
    for row in range(0, canvas_px, tile_px):
        for column in range(0, canvas_px, tile_px):
            chosen = families[rng.integers(len(families))]
            hole = sample[row : row + tile_px, column : column + tile_px]
            tile = draw_object(chosen, tile_px, rng=rng)
            hole[:] = tile[: hole.shape[0], : hole.shape[1]]
    return sample
