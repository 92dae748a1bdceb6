"""The stitched image of a scan's frames while the network that made it is trained.

Self-supervision: no labels, the image must give the measured frames. The patches of a few
neighbouring frames are predicted anew, with gradients, and take the place of those that the image
was stitched from; the phase offsets are the stitcher's. The image in the full probe window, under
all modes of the probe, must then give the measured amplitudes (misfit of Maiden & Rodenburg,
Ultramicroscopy 109, 1256, 2009, with the scale of each frame free). Full windows reach beyond a
patch: what lies there is what the neighbours say, as in the image that `infer` gives.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.judging.yardstick import ScanPart, stitched_patches
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.package.golden import PatchArrays
from wnet_edge.training.forward import expected_counts

LEAST_POWER = 0.98
"""Share of the probe's power that must fall on the image for a frame to be simulated from it."""

_LEAST_COVERAGE = 0.02
"""Of the largest coverage: fainter pixels are taken as blank."""

_NO_SLOPE = 1e-6
"""Of the mean intensity, added to it: the root of zero has no gradient."""


class LiveImage:
    """Image of a part of a scan, on whole object pixels.

    Args:
        part: frames with their positions.
        device: of the network.

    Attributes:
        usable: (n,) int64, indices of the frames whose probe falls on the image.
    """

    def __init__(self, part: ScanPart, device: torch.device) -> None:
        seen = part.instrument
        self._part, self._device = part, device
        self._full_px, self._binning = seen.frame_px, seen.binning
        start = seen.window[0].start
        self._patch = slice(start, start + seen.window_px)
        self._weight = torch.from_numpy(seen.weight).to(device)
        power = np.sum(np.abs(seen.probe) ** 2, axis=0, dtype=np.float64)
        self._probe = torch.from_numpy(seen.probe / np.float32(np.sqrt(power.sum()))).to(device)
        self._scale = torch.from_numpy(part.scale).to(device)
        counts = torch.from_numpy(part.counts[:, 0])
        self._valid = (counts >= 0).float().to(device)
        root = torch.sqrt(counts.clamp(min=0)).to(device)
        self._root = root / torch.linalg.vector_norm(root, dim=(1, 2), keepdim=True)
        # With a full window to spare on every side, no window leaves the image.
        corner = np.rint(part.positions_px).astype(np.int64)
        self._corner = corner - corner.min(axis=0)
        shape = tuple((self._corner.max(axis=0) + self._full_px).tolist())
        self._total = torch.zeros(shape, dtype=torch.complex64, device=device)
        self._coverage = torch.zeros(shape, device=device)
        for index in range(len(corner)):
            self._coverage[self._patch_of(index)] += self._weight
        self._seen = self._coverage > _LEAST_COVERAGE * self._coverage.max()
        self.usable = self._usable(power / power.sum())
        self._laid = torch.zeros(0)
        self._turn = torch.zeros(0)
        self._blank = torch.ones((), dtype=torch.complex64, device=device)

    def renew(self, patches: PatchArrays) -> None:
        """Stitch all patches (N, 1, n, n) of the part's frames anew."""
        offset_rad = torch.from_numpy(stitched_patches(self._part, patches).offsets_rad).float()
        self._turn = torch.polar(self._scale, offset_rad.to(self._device))[:, None, None]
        amplitude, phase_rad = (torch.from_numpy(p[:, 0]).to(self._device) for p in patches)
        self._laid = torch.polar(amplitude, phase_rad) * self._turn
        self._total.zero_()
        for index in range(len(self._laid)):
            self._total[self._patch_of(index)] += self._weight * self._laid[index]
        image = self._total[self._seen] / self._coverage[self._seen]
        mean = image.sum()
        self._blank = image.abs().median() * mean / mean.abs()

    def neighbours(self, centre: int, count: int) -> NDArray[np.int64]:
        """Indices of the `count` usable frames nearest to frame `centre`, itself included."""
        distance = np.hypot(*(self._corner[self.usable] - self._corner[centre]).T)
        return self.usable[np.argsort(distance, kind="stable")[:count]]

    def misfit(
        self, patches: tuple[torch.Tensor, torch.Tensor], frames: NDArray[np.int64]
    ) -> torch.Tensor:
        """Mean over frames of Σ (s·a − √I)², where Σ I = 1 and s is the scale that fits best.

        Args:
            patches: amplitude and phase_rad of the frames, (B, 1, n, n), with gradients.
            frames: (B,) int64, indices in the part.
        """
        chosen = torch.from_numpy(frames).to(self._device)
        windows = self._windows(torch.polar(*patches)[:, 0] * self._turn[chosen], frames)
        valid, root = self._valid[chosen], self._root[chosen]
        intensity = expected_counts(windows, self._probe, self._binning) * valid
        floor = _NO_SLOPE * intensity.mean((1, 2), keepdim=True)
        modelled = torch.sqrt(intensity + floor) * valid
        scale = (root * modelled).sum((1, 2)) / modelled.square().sum((1, 2))
        misfit: torch.Tensor = (scale[:, None, None] * modelled - root).square().sum((1, 2))
        return misfit.mean()

    def _windows(self, patches: torch.Tensor, frames: NDArray[np.int64]) -> torch.Tensor:
        """Full windows (B, full, full) of the image with these patches (B, n, n) laid anew."""
        low = self._corner[frames].min(axis=0)
        high = self._corner[frames].max(axis=0) + self._full_px
        area = (slice(low[0], high[0]), slice(low[1], high[1]))
        columns = int(high[1] - low[1])
        within = torch.arange(self._patch.start, self._patch.stop)
        corner = torch.from_numpy(self._corner[frames] - low)
        rows = (corner[:, 0, None] + within) * columns
        pixel = rows[:, :, None] + (corner[:, 1, None] + within)[:, None, :]
        changed = self._weight * (patches - self._laid[torch.from_numpy(frames)])
        total = torch.view_as_real(self._total[area].reshape(-1)).index_add(
            0, pixel.reshape(-1).to(self._device), torch.view_as_real(changed.reshape(-1))
        )
        seen = self._seen[area]
        covered = torch.where(seen, self._coverage[area], 1.0)
        image = torch.view_as_complex(total).reshape(seen.shape) / covered
        image = torch.where(seen, image, self._blank)
        return torch.stack([image[self._window(r, c)] for r, c in corner.tolist()])

    def _window(self, row: int, column: int) -> tuple[slice, slice]:
        return slice(row, row + self._full_px), slice(column, column + self._full_px)

    def _patch_of(self, index: int) -> tuple[slice, slice]:
        row, column = self._corner[index].tolist()
        start, stop = self._patch.start, self._patch.stop
        return slice(row + start, row + stop), slice(column + start, column + stop)

    def _usable(self, power: NDArray[np.float64]) -> NDArray[np.int64]:
        seen = self._seen.cpu().numpy()
        windows = (seen[self._window(row, column)] for row, column in self._corner.tolist())
        share = np.array([power[window].sum() for window in windows])
        return np.flatnonzero(share >= LEAST_POWER)


def patches_of(
    network: CountsNetwork, counts: NDArray[np.float32], device: torch.device
) -> PatchArrays:
    """Amplitude and phase_rad (N, 1, n, n) float32 of counts (N, 1, n, n)."""
    with torch.inference_mode():
        parts = [network(part.to(device)) for part in torch.split(torch.from_numpy(counts), 64)]
    amplitude, phase_rad = (torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True))
    return amplitude, phase_rad
