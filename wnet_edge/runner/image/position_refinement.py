"""Positions of a scan's frames, corrected by what neighbouring patches show of the same place."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError, WNetEdgeError, not_installed
from wnet_edge.host.array_file import ArrayFile
from wnet_edge.physics.geometry import positions_px
from wnet_edge.refining.affine import Affine, affine_part
from wnet_edge.refining.options import PositionCorrection
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.graph.device import usable_cores
from wnet_edge.scan.preparation import Preparation
from wnet_edge.scan.scan import Scan

_NEAR = 0.53
"""Of the network's window: frames so near to each other are registered."""

_REACHES = (0.62, 0.4, 0.2)
"""Of the window: how far a displacement may be from where it is expected, round by round."""

_GOOD_PX = 2.0
_LEAST_GOOD = 0.5
"""Of the pairs that must agree within `_GOOD_PX` for the corrections to be believed."""


@dataclass(frozen=True, eq=False)
class CorrectedPositions:
    """Positions that were corrected, and by how much.

    Attributes:
        positions_m: (N, 2) row, column.
        rms_px: root mean square of the corrections.
        largest_px: largest of them.
        good: share of the pairs of frames that agree with them within 2 px.
        pairs: that were registered.
        affine: what is common to all corrections.
        correction: whether that was corrected, too.
        seconds: it took.
    """

    positions_m: NDArray[np.float64]
    rms_px: float
    largest_px: float
    good: float
    pairs: int
    affine: Affine
    correction: PositionCorrection
    seconds: float

    @property
    def text(self) -> str:
        """In a line."""
        (row, column), affine = self.affine.scale, self.affine
        done = self.correction is PositionCorrection.AFFINE
        return (
            f"positions corrected by {self.rms_px:.2f} px RMS, {self.largest_px:.1f} px at most, "
            f"in {self.seconds:.1f} s ({100 * self.good:.0f} % of {self.pairs} pairs of frames "
            f"agree); scale {row:.4f} × {column:.4f}, rotation {affine.rotation_deg:.2f}°, shear "
            f"{affine.shear_deg:.2f}° {'corrected' if done else 'kept as they were'}"
        )

    @property
    def values(self) -> dict[str, float | str | tuple[float, float]]:
        """By their names in `--json`."""
        return {
            "correction": self.correction.value,
            "rms_px": self.rms_px,
            "largest_px": self.largest_px,
            "pairs": self.pairs,
            "pairs_agreeing": self.good,
            "scale": self.affine.scale,
            "rotation_deg": self.affine.rotation_deg,
            "shear_deg": self.affine.shear_deg,
            "seconds": self.seconds,
        }


def corrected_positions(
    scan: Scan,
    opened: ChosenGraph,
    correction: PositionCorrection = PositionCorrection.EACH,
    progress: Callable[[int], None] | None = None,
) -> CorrectedPositions:
    """Register neighbouring patches and solve for the positions of all frames.

    Args:
        scan: whose positions are nominal.
        opened: graph that gives the patches.
        correction: what of them is corrected.
        progress: called with the number of frames after each batch.

    Raises:
        ScanError: if too few neighbouring frames agree with each other.
        WNetEdgeError: if scipy is not installed.
    """
    try:
        from wnet_edge.refining.registration import Registration
        from wnet_edge.refining.scan_positions import neighbours, solved
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("--refine-positions", error, "refine")) from error
    began = perf_counter()
    size_px = opened.package.manifest.window_px
    nominal_px = positions_px(scan.positions_m, scan.object_pixel_size_m)
    file = ArrayFile((size_px, size_px), np.complex64, scan.frame_count, "patches")
    try:
        used = _write_patches(file, scan, opened, progress)
        found_px = nominal_px[used]
        numbers = np.flatnonzero(used)

        def read(place: int) -> NDArray[np.complex64]:
            frame = int(numbers[place])
            patch: NDArray[np.complex64] = file.read(frame, frame + 1)[0]
            return patch

        registration = Registration(opened.package.instrument.weight, read)
        for reach in _REACHES:
            pairs = neighbours(found_px, _NEAR * size_px)
            if not len(pairs):
                raise ScanError(f"{scan.path}: no two frames overlap enough to be registered")
            expected_px = found_px[pairs[:, 1]] - found_px[pairs[:, 0]]
            told = registration.displacements(pairs, expected_px, reach * size_px, usable_cores())
            shift_px = np.array([one.shift_px for one in told])
            firmness = np.array([one.firmness for one in told])
            found_px, off_px = solved(found_px, pairs, shift_px, firmness)
    finally:
        file.close()
    good = float(np.mean(off_px < _GOOD_PX))
    if good < _LEAST_GOOD:
        raise ScanError(
            f"{scan.path}: only {100 * good:.0f} % of neighbouring frames agree where they lie; "
            "positions can't be corrected: is the orientation right, and is there enough overlap?"
        )
    common_px, affine = affine_part(nominal_px[used], found_px)
    corrected_px = nominal_px.copy()
    kept = correction is PositionCorrection.EACH
    corrected_px[used] = found_px - common_px if kept else found_px
    off = np.hypot(*(corrected_px - nominal_px)[used].T)
    return CorrectedPositions(
        corrected_px * scan.object_pixel_size_m,
        float(np.sqrt(np.mean(off**2))),
        float(off.max()),
        good,
        len(pairs),
        affine,
        correction,
        perf_counter() - began,
    )


def _write_patches(
    file: ArrayFile[np.complex64],
    scan: Scan,
    opened: ChosenGraph,
    progress: Callable[[int], None] | None,
) -> NDArray[np.bool_]:
    """Patches of all frames into a file; gives which of them, (N,), have something to show."""
    graph, setup = opened.graph, scan.setup
    preparation = Preparation(setup.mask, setup.frame_px // opened.package.manifest.window_px)
    used = np.zeros(scan.frame_count, np.bool_)
    for first in range(0, scan.frame_count, graph.batch_size):
        part = slice(first, min(first + graph.batch_size, scan.frame_count))
        frames = np.asarray(scan.frames[part], np.float32)
        batch = preparation.prepare(frames, scan.left_out[part])
        amplitude, phase_rad = (values[:, 0] for values in graph.run(batch.counts))
        patches = (amplitude * np.exp(1j * phase_rad)).astype(np.complex64)
        finite = np.isfinite(patches.sum(axis=(1, 2)))
        used[part] = batch.usable & finite
        patches[~finite] = 0
        file.write(first, patches)
        if progress is not None:
            progress(len(frames))
    return used
