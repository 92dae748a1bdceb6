"""A scan as an iterative engine takes it: all its counts, its probe, and an object to begin with.

frames → framing → scene → pty-chi → image. The object's array holds every frame's full window; a
detector that binned the far field sees less of it than the probe lights.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.framing.framing import FramedScan
from wnet_edge.physics.forward import far_field
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import central_window_start_px, positions_px
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.scan.preparation import check_lost, fault_lines, prepare_frames
from wnet_edge.scan.scan import Scan

_MARGIN_PX = 8
"""Around all windows: positions may be corrected."""

_LARGEST_LOST_SHARE = 0.1
_MOST_MASKED = 0.25
"""Of a frame's pixels: so many may be left out."""

_SCALED_BY = 100
"""Frames, at most, that tell the probe's scale."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Counts, probe, positions and object, before the first epoch or after the last.

    Attributes:
        counts: (N, n, n) float32 of the frames that are used; negative where no count is.
        numbers: (N,) int64, their places in the scan.
        probe: (modes, n, n) complex64 of the window that the engine sees, in √counts; its modes are
            orthogonal, the strongest first.
        full_probe: (modes, full, full) complex64, likewise, before it was cut to that window.
        corner_px: (N, 2) float64, object row, column at which each full window begins.
        object: (H, W) complex64.
        origin_px: (2,) int64, object row, column of its first pixel, in the coordinates of the
            positions.
        object_pixel_size_m: edge of one of its pixels.
        wavelength_m: of the photons.
        warnings: what a user should know, one line each.
    """

    counts: NDArray[np.float32]
    numbers: NDArray[np.int64]
    probe: NDArray[np.complex64]
    full_probe: NDArray[np.complex64]
    corner_px: NDArray[np.float64]
    object: NDArray[np.complex64]
    origin_px: NDArray[np.int64]
    object_pixel_size_m: float
    wavelength_m: float
    warnings: tuple[str, ...] = ()

    @property
    def frame_px(self) -> int:
        """Edge n of a frame."""
        return int(self.counts.shape[-1])

    @property
    def full_window_px(self) -> int:
        """Edge of a full window."""
        return int(self.full_probe.shape[-1])

    @property
    def window_start_px(self) -> int:
        """Where the window that the engine sees begins in the full one."""
        return central_window_start_px(self.full_window_px, self.frame_px)

    @property
    def windows_px(self) -> NDArray[np.float64]:
        """(N, 2) row, column in the object's array at which each of these windows begins."""
        return self.corner_px + self.window_start_px - self.origin_px

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n, n), True for pixels that hold a count in every frame."""
        valid: NDArray[np.bool_] = np.all(self.counts >= 0, axis=0)
        return valid

    def started(self, start: NDArray[np.complex64] | None) -> "Scene":
        """The same with another object, and the probe as bright as the frames then ask for."""
        begun = self if start is None else replace(self, object=start)
        scale = _probe_scale(begun)
        return replace(begun, probe=scale * begun.probe, full_probe=scale * begun.full_probe)


def scene_of(
    framed: FramedScan, probe: NDArray[np.complex64], wavelength_m: float, modes: int | None = None
) -> Scene:
    """All usable frames of a scan, with an empty object.

    Args:
        framed: the scan.
        probe: (modes, full, full) complex64.
        wavelength_m: of the photons.
        modes: of the probe that are kept, at most; None: all.

    Raises:
        ScanError: if too many frames or pixels are bad.
    """
    scan = framed.scan
    prepared = prepare_frames(scan, np.arange(scan.frame_count), 1)
    usable = prepared.usable
    check_lost(scan, ~usable, prepared.frames_flat, _LARGEST_LOST_SHARE)
    faults = fault_lines(
        int((~usable).sum()), prepared.frames_flat, prepared.values_masked, prepared.values_clipped
    )
    numbers = np.flatnonzero(usable)
    corner_px = positions_px(scan.positions_m, scan.object_pixel_size_m)[numbers]
    low = np.floor(corner_px.min(axis=0)).astype(np.int64) - _MARGIN_PX
    high = np.ceil(corner_px.max(axis=0)).astype(np.int64) + scan.full_window_px + _MARGIN_PX
    full_probe = orthogonal_modes(probe)[:modes]
    scene = Scene(
        counts=prepared.counts[numbers, 0],
        numbers=numbers,
        probe=fitted_probe(full_probe, scan.frame_px),
        full_probe=full_probe,
        corner_px=corner_px,
        object=np.ones(tuple(high - low), np.complex64),
        origin_px=low,
        object_pixel_size_m=scan.object_pixel_size_m,
        wavelength_m=wavelength_m,
    )
    return replace(
        scene, warnings=(*scan.notes, *faults, *_cut_lines(scene), *_masked(scene, scan))
    )


def orthogonal_modes(probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The same mutual intensity in orthogonal modes (modes, n, n), the strongest first."""
    flat = probe.reshape(len(probe), -1).astype(np.complex128)
    _, strength, modes = np.linalg.svd(flat, full_matrices=False)
    orthogonal: NDArray[np.complex64] = (strength[:, None] * modes).astype(np.complex64)
    return orthogonal.reshape(probe.shape)


def _cut_lines(scene: Scene) -> tuple[str, ...]:
    """What to say where the detector has binned the far field."""
    kept = float(probe_intensity(scene.probe).sum() / probe_intensity(scene.full_probe).sum())
    if scene.window_start_px == 0:
        return ()
    return (
        f"pty-chi does not know binned frames: the probe is cut to their {scene.frame_px} px, "
        f"which hold {100 * kept:.0f} % of its power",
    )


def _masked(scene: Scene, scan: Scan) -> tuple[str, ...]:
    """What to say of pixels that are bad in some frames, which pty-chi leaves out in all.

    Raises:
        ScanError: if they are too many.
    """
    bad = ~scene.valid
    if bad.mean() > _MOST_MASKED:
        raise ScanError(
            f"{scan.path}: {100 * bad.mean():.0f} % of the pixels hold no count in some frame, and "
            "pty-chi leaves them out in all; give frames with fewer bad pixels, or part of them "
            "with --frames-range FIRST:END"
        )
    only_some = int(np.count_nonzero(bad & ~scan.mask))
    if not only_some:
        return ()
    return (f"{only_some} pixels that hold no count in some frames are left out in all",)


def _probe_scale(scene: Scene) -> np.float32:
    """By which modelled √counts a are the measured ones: Σ a·√I / Σ a² over some frames."""
    agreement = power = 0.0
    valid, size = scene.valid, scene.frame_px
    count = len(scene.counts)
    for frame in np.linspace(0, count - 1, min(count, _SCALED_BY)).astype(int).tolist():
        row, column = np.rint(scene.windows_px[frame]).astype(int).tolist()
        window = scene.object[row : row + size, column : column + size]
        modelled = probe_intensity(far_field(scene.probe * window))[valid].astype(np.float64)
        agreement += float(np.sqrt(modelled) @ np.sqrt(scene.counts[frame][valid]))
        power += float(modelled.sum())
    return np.float32(agreement / power if power else 1.0)
