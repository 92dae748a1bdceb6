"""Frames and labels from a file that `wnet-edge simulate` wrote, larger than memory if need be.

Split by region, never by frame: the last tenth of the scan along its longer side validates, and a
gap of a full window before it is left unused, so that no object pixel is in both.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.geometry import positions_px
from wnet_edge.io.cxi import Labels
from wnet_edge.preprocess import network_counts
from wnet_edge.scan import Scan
from wnet_edge.training.batch import Batch, Instrument

_POOL_FRAMES = 2048
"""Frames drawn at random from the file and held in memory at a time."""

_VALIDATION_SHARE = 0.1


class StoredFrames:
    """Batches of the frames of one labelled scan.

    Args:
        scan: with its probe.
        labels: of the same file.
        seed: of the order of the frames.

    Raises:
        ScanError: if the scan has no probe, or is too small to hold a part out.
    """

    def __init__(self, scan: Scan, labels: Labels, *, seed: int) -> None:
        if scan.probe is None:
            raise ScanError(f"{scan.path}: has no probe to weigh the loss with; simulate it again")
        self.instrument = Instrument(
            probe=scan.probe,
            window_px=labels.window_px,
            binning=labels.binning,
            object_pixel_size_m=scan.object_pixel_size_m,
            wavelength_m=scan.known_geometry.wavelength_m,
        )
        self._scan, self._labels, self._seed = scan, labels, seed
        self._training, self._validation = _split(scan)

    @property
    def frames_per_epoch(self) -> int:
        """Frames that `epoch` gives."""
        return len(self._training)

    def describe(self) -> dict[str, Any]:
        """Name, size and a fingerprint of the positions and the first frame."""
        digest = hashlib.sha256(self._scan.positions_m.tobytes())
        digest.update(np.asarray(self._scan.frames[:1]).tobytes())
        return {
            "source": "file",
            "file": self._scan.path.name,
            "frames": self._scan.frame_count,
            "frames_per_epoch": self.frames_per_epoch,
            "sha256": digest.hexdigest(),
            "probe_sha256": self.instrument.probe_sha256,
        }

    def epoch(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """All training frames once, in an order of this epoch's own."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._training)
        return self._batches(order, batch_size)

    def validation(self, frames: int, batch_size: int) -> Iterator[Batch]:
        """Held-out frames, evenly spaced where there are more than `frames`."""
        count = min(frames, len(self._validation))
        chosen = self._validation[np.linspace(0, len(self._validation) - 1, count).astype(np.int64)]
        return self._batches(chosen, batch_size)

    def _batches(self, order: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
        pool_frames = max(_POOL_FRAMES // batch_size, 1) * batch_size
        for start in range(0, len(order), pool_frames):
            pool = self._read(order[start : start + pool_frames])
            for first in range(0, len(pool.counts), batch_size):
                part = slice(first, first + batch_size)
                yield Batch(pool.counts[part], pool.amplitude[part], pool.phase_rad[part])

    def _read(self, wanted: NDArray[np.int64]) -> Batch:
        """Frames in the order wanted; HDF5 reads ascending ones."""
        ascending, place = np.unique(wanted, return_inverse=True)
        frames = np.asarray(self._scan.frames[ascending], dtype=np.float32)
        binning = self.instrument.binning // self._scan.binning
        counts = network_counts(frames, self._scan.mask, binning)
        amplitude, phase_rad = (
            np.asarray(label[ascending], dtype=np.float32)[:, None]
            for label in (self._labels.amplitude, self._labels.phase)
        )
        return Batch(*(torch.from_numpy(a[place]) for a in (counts, amplitude, phase_rad)))


def _split(scan: Scan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    extent = np.ptp(positions, axis=0)
    along = positions[:, int(np.argmax(extent))]
    border = along.max() - _VALIDATION_SHARE * extent.max()
    training = np.flatnonzero(along < border - scan.full_window_px)
    if not len(training):
        raise ScanError(
            f"{scan.path}: {extent[0]:.0f} × {extent[1]:.0f} px are too few to hold a tenth out "
            f"behind a gap of {scan.full_window_px} px; simulate more frames"
        )
    return training, np.flatnonzero(along >= border)
