"""Frames simulated from an image, and how well they fit the measured ones.

All modes of the probe, binned as measured, with one fitted scale per frame. Used by the
self-check for a sample of the frames, by `wnet-edge evaluate` for each of them, and by
self-supervised training for those held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.host.prefetch import prefetched
from wnet_edge.package.manifest import FrameFit
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import far_field, inverse_far_field
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import central_window_start_px, positions_px
from wnet_edge.physics.poisson import expected_root_deviation
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.stitching.laid_sums import Stitched

COVERED_POWER = 0.999
"""Fraction of the probe's power that must fall on covered pixels."""

_THREADS = 4
"""That simulate frames: most of the time is NumPy's, which works in several at once."""

_CONTRASTS = np.geomspace(1 / 4, 4, 9)
"""Contrast factors that are tried; the minimum is interpolated by a parabola."""


class Window(Protocol):
    """Of a network, as a package's manifest or an instrument has it."""

    @property
    def window_px(self) -> int:
        """Edge of the network's window."""
        ...

    @property
    def frame_px(self) -> int:
        """Edge of the full window."""
        ...


@dataclass(frozen=True)
class ImageModel:
    """Forward model that simulates frames from an image.

    Attributes:
        stitched: the image.
        probe: (modes, n, n), padded if the detector's pixels are finer than the package's.
        wave: (modes, n, n), far field of the probe.
        power: (n, n), probe intensity, normalised to sum 1.
        corner_px: (N, 2) float64, top-left pixel of each probe window in the image.
        binning: simulated pixels along an edge that one of the network's input pixels sums.
    """

    stitched: Stitched
    probe: NDArray[np.complex64]
    wave: NDArray[np.complex64]
    power: NDArray[np.float64]
    corner_px: NDArray[np.float64]
    binning: int

    @classmethod
    def of(
        cls,
        setup: FrameSetup,
        positions_m: NDArray[np.float64],
        probe: NDArray[np.complex64],
        window: Window,
        stitched: Stitched,
    ) -> "ImageModel":
        """For a scan's frames at `positions_m` (N, 2), all of them in order, and their image."""
        size_px = max(setup.frame_px, window.frame_px)
        probe = fitted_probe(probe, size_px)
        power = probe_intensity(probe).astype(np.float64)
        top_left = positions_px(positions_m, setup.object_pixel_size_m)
        start = central_window_start_px(setup.full_window_px, size_px)
        return cls(
            stitched=stitched,
            probe=probe,
            wave=far_field(probe).astype(np.complex64),
            power=power / power.sum(),
            corner_px=top_left + start - stitched.origin_px,
            binning=size_px // window.window_px,
        )

    def covers(self, frame: int, least_power: float = COVERED_POWER) -> bool:
        """Whether that share of the probe's power falls on pixels that the image covers."""
        coverage = self._cut(self.stitched.coverage, frame)
        return bool(np.sum(self.power[coverage > 0]) >= least_power)

    def counts(self, frame: int) -> NDArray[np.float32]:
        """Expected counts of a frame, (3, h, w) float32, in the units of the probe's power.

        For a blank object, for the image, and for the image with doubled contrast: contrast scales
        the patch's deviation from its mean under the probe.
        """
        patch = self._cut(self.stitched.image, frame)
        lit = self.wave * self._ramp(self.corner_px[frame] % 1)
        image = far_field(inverse_far_field(lit) * patch)
        # The mean of O under |P|² is ⟨P|P·O⟩ / ⟨P|P⟩, in real or Fourier space.
        mean = np.vdot(lit, image) / np.vdot(lit, lit)
        blank = np.complex64(mean) * lit
        simulated = probe_intensity(np.stack([blank, image, 2 * image - blank], axis=1))
        return bin_frames(simulated, self.binning)

    def _ramp(self, shift_px: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Phase ramp (n, n) on the far field for a shift of the probe (Fourier shift theorem)."""
        q = np.fft.fftshift(np.fft.fftfreq(self.probe.shape[-1]))
        rows, columns = np.exp(-2j * np.pi * shift_px[:, None] * q)
        ramp: NDArray[np.complex64] = np.outer(rows, columns).astype(np.complex64)
        return ramp

    def _cut(self, image: NDArray[Any], frame: int) -> NDArray[Any]:
        """A frame's probe window cut from an image, zero outside it."""
        size = self.probe.shape[-1]
        start = np.floor(self.corner_px[frame]).astype(int)
        window = np.zeros((size, size), dtype=image.dtype)
        low = np.maximum(start, 0)
        high = np.minimum(start + size, image.shape)
        if (high > low).all():
            inside = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
            window[inside] = image[low[0] : high[0], low[1] : high[1]]
        return window


def frame_fit(model: ImageModel, frames: dict[int, NDArray[np.float32]]) -> FrameFit | None:
    """R-factors of the model for measured frames by number; None if there are no counts."""
    return _joined(_sums_of_each(model, frames))


def frame_fits(model: ImageModel, frames: dict[int, NDArray[np.float32]]) -> list[FrameFit | None]:
    """As `frame_fit`, for each of the frames alone, in their order."""
    return [_joined([sums]) for sums in _sums_of_each(model, frames)]


@dataclass(frozen=True)
class _FitSums:
    """Sums over the valid pixels of a frame.

    Attributes:
        total: Σ√I.
        deviation: Σ|√I − |Ψ|| of the image.
        blank_deviation: the same of a blank object.
        noise: what counting noise alone gives.
        misfit: Σ(√I − |Ψ|)² for each of `_CONTRASTS`.
        fractions: values that are no whole numbers.
        values: all values.
    """

    total: float
    deviation: float
    blank_deviation: float
    noise: float
    misfit: NDArray[np.float64]
    fractions: int
    values: int


def _joined(sums: Sequence[_FitSums]) -> FrameFit | None:
    total = sum(one.total for one in sums)
    if not total:
        return None
    fractions, values = sum(one.fractions for one in sums), sum(one.values for one in sums)
    return FrameFit(
        r_factor=sum(one.deviation for one in sums) / total,
        # The noise of normalised frames is unknown, since their photon counts are.
        r_floor=0.0 if 2 * fractions > values else sum(one.noise for one in sums) / total,
        r_blank=sum(one.blank_deviation for one in sums) / total,
        contrast=1 / _lowest(np.sum([one.misfit for one in sums], axis=0)),
        frames=len(sums),
    )


def _sums_of_each(model: ImageModel, frames: dict[int, NDArray[np.float32]]) -> list[_FitSums]:
    def sums(frame: int) -> _FitSums:
        return _fit_sums(model, frame, frames[frame])

    with prefetched(sums, frames, "frame fit", _THREADS) as made:
        return [one for _, one in made]


def _fit_sums(model: ImageModel, frame: int, counts: NDArray[np.float32]) -> _FitSums:
    valid = counts >= 0
    root = np.sqrt(counts[valid], dtype=np.float64)
    blank, image, double = model.counts(frame)[:, valid].astype(np.float64)
    modelled, modelled_blank = _scaled(root, image), _scaled(root, blank)
    # The intensity is quadratic in the contrast, so that three points determine it.
    curvature = (double - 2 * image + blank) / 2
    slope = image - blank - curvature
    misfit = [
        np.sum((root - _scaled(root, blank + c * slope + c**2 * curvature)) ** 2)
        for c in _CONTRASTS
    ]
    return _FitSums(
        total=float(root.sum()),
        deviation=float(np.abs(root - modelled).sum()),
        blank_deviation=float(np.abs(root - modelled_blank).sum()),
        noise=float(expected_root_deviation(modelled**2).sum()),
        misfit=np.array(misfit),
        fractions=int(np.count_nonzero(counts[valid] % 1)),
        values=root.size,
    )


def _lowest(misfit: NDArray[np.float64]) -> float:
    """Contrast factor of least misfit, by a parabola through the smallest value and its neighbours.

    In the logarithm of the factor; at either end of `_CONTRASTS` that factor itself.
    """
    best = int(np.argmin(misfit))
    if best in (0, len(misfit) - 1):
        return float(_CONTRASTS[best])
    below, at, above = misfit[best - 1 : best + 2]
    step = (below - above) / (2 * (below - 2 * at + above)) if below + above > 2 * at else 0.0
    return float(_CONTRASTS[best] * (_CONTRASTS[1] / _CONTRASTS[0]) ** step)


def _scaled(root: NDArray[np.float64], modelled: NDArray[np.float64]) -> NDArray[np.float64]:
    """|Ψ| of modelled counts, scaled by least squares to √I (`root`)."""
    magnitude = np.sqrt(np.maximum(modelled, 0))
    scale = float(root @ magnitude) / max(float(magnitude @ magnitude), 1e-30)
    scaled: NDArray[np.float64] = scale * magnitude
    return scaled
