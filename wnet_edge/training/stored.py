"""Training frames and labels from files, also larger than memory.

Frames are read from a scan file; labels from the same file if `wnet-edge simulate` wrote it, else
they are cut from a reconstruction. Frames that `infer` leaves out are left out here, too. Split by
region, never by frame: the last tenth of the scan along its longer side is for validation, and a
gap of a full window before it is left unused, so that no object pixel is in both.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError, TrainingError
from wnet_edge.io.parts.complete_scan import LARGEST_BAD_SHARE
from wnet_edge.judging.label_source import LabelSource
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.scan.preparation import prepare_frames, usable_frames
from wnet_edge.scan.scan import Scan
from wnet_edge.training.augmentation import Augmentation, augmented
from wnet_edge.training.batch import Batch, split_batches
from wnet_edge.training.workers import in_order

_POOL_FRAMES = 2048
"""Number of frames that are drawn at random from the file and held in memory at a time."""

_VALIDATION_SHARE = 0.1

_LARGEST_FRACTION = 0.1
"""Largest relative change of a frame by rounding to whole counts; above, it holds no counts."""

_NOISE_STREAM = 1
"""Random number stream of the augmentation, separate from that of the order."""


@dataclass(frozen=True)
class _Pool:
    """Frames that are read together.

    Attributes:
        numbers: frame numbers, in the requested order.
        epoch: epoch that determines their augmentation; None for no augmentation.
        index: number of the pool in the epoch.
    """

    numbers: NDArray[np.int64]
    epoch: int | None
    index: int


class StoredFrames:
    """Supply of frames from one scan file.

    Args:
        scan: scan with a probe.
        labels: labels of its frames.
        seed: seed of the order of the frames and of their augmentation.
        augmentation: applied to training frames, never to validation frames.
        workers: number of worker processes; the frames do not depend on it.
        turns: orientations applied to frames and positions, by name; identities are omitted.

    Attributes:
        training: (n,) int64, numbers of the training frames.
        held_out: (k,) int64, numbers of the validation frames.
        warnings: warnings about the scan and its frames, one line each.

    Raises:
        ScanError: if the scan has no probe, too many bad frames, or is too small to hold out a
            part.
        TrainingError: if frames that are not counts are to be augmented.
    """

    def __init__(
        self,
        scan: Scan,
        labels: LabelSource,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        workers: int = 0,
        turns: Mapping[str, str] | None = None,
    ) -> None:
        if scan.probe is None:
            raise ScanError(
                f"{scan.path}: has no probe to weigh the loss with; write it into the file"
            )
        self.instrument = Instrument(
            probe=scan.probe,
            window_px=labels.window_px,
            binning=labels.binning,
            object_pixel_size_m=scan.object_pixel_size_m,
            wavelength_m=scan.known_geometry.wavelength_m,
        )
        self._scan, self._labels, self._seed = scan, labels, seed
        self._augmentation, self._workers = augmentation, workers
        self._turns = dict(turns or {})
        found = usable_frames(scan, LARGEST_BAD_SHARE)
        self.warnings = (*scan.notes, *found.warnings)
        self.training, self.held_out = _split(scan, labels.usable & found.usable)
        if augmentation is not None:
            _check_whole_counts(scan, self.training)

    @property
    def frames_per_epoch(self) -> int:
        """Number of frames per epoch."""
        return len(self.training)

    def describe(self) -> dict[str, Any]:
        """Name, size and fingerprint of the scan; provenance of the labels; orientations."""
        described = {
            "source": "file",
            "file": self._scan.path.name,
            "frames": self._scan.frame_count,
            "frames_per_epoch": self.frames_per_epoch,
            "sha256": self._scan.sha256,
            "probe_sha256": self.instrument.probe_sha256,
            **self._labels.describe(),
            **self._turns,
        }
        if self._augmentation is not None:
            described["augmentation"] = json.loads(json.dumps(asdict(self._augmentation)))
        return described

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of all training frames once, in the epoch's own order."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self.training)
        return self._batches(order, epoch, batch_size)

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of up to `frames` held-out frames, evenly spaced if there are more."""
        count = min(frames, len(self.held_out))
        chosen = self.held_out[np.linspace(0, len(self.held_out) - 1, count).astype(np.int64)]
        return self._batches(chosen, None, batch_size)

    def _batches(
        self, order: NDArray[np.int64], epoch: int | None, batch_size: int
    ) -> Generator[Batch, None, None]:
        size = max(_POOL_FRAMES // batch_size, 1) * batch_size
        pools = [
            _Pool(order[start : start + size], epoch, index)
            for index, start in enumerate(range(0, len(order), size))
        ]
        for arrays in in_order(self._read, pools, self._workers):
            yield from split_batches(arrays, batch_size)

    def _read(self, pool: _Pool) -> tuple[NDArray[np.float32], ...]:
        """Counts, amplitudes and phases (n, 1, H, W) in the pool's order, read in file order."""
        ascending, place = np.unique(pool.numbers, return_inverse=True)
        binning = self.instrument.binning // self._scan.binning
        counts = prepare_frames(self._scan, ascending, binning).counts[place]
        if self._augmentation is not None and pool.epoch is not None:
            seed = [self._seed, pool.epoch, pool.index, _NOISE_STREAM]
            counts = augmented(counts, self._augmentation, np.random.default_rng(seed))
        amplitude, phase_rad = self._labels.read(ascending)
        return counts, amplitude[place][:, None], phase_rad[place][:, None]


def _split(scan: Scan, usable: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frame numbers for training and for validation, usable ones only."""
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    extent = np.ptp(positions[usable], axis=0)
    along = positions[:, int(np.argmax(extent))]
    border = along[usable].max() - _VALIDATION_SHARE * extent.max()
    training = np.flatnonzero(usable & (along < border - scan.full_window_px))
    if not len(training):
        raise ScanError(
            f"{scan.path}: {extent[0]:.0f} × {extent[1]:.0f} px are too few to hold a tenth out "
            f"behind a gap of {scan.full_window_px} px; take a larger scan"
        )
    return training, np.flatnonzero(usable & (along >= border))


def _check_whole_counts(scan: Scan, numbers: NDArray[np.int64]) -> None:
    """Check that frames are photon counts, which can be thinned, not intensities in other units.

    Raises:
        TrainingError: if the first of `numbers` is not.
    """
    counts = np.maximum(prepare_frames(scan, numbers[:1], 1).counts, 0)
    if np.abs(counts.sum() - np.rint(counts).sum()) > _LARGEST_FRACTION * counts.sum():
        raise TrainingError(
            f"{scan.path}: frames are not whole counts, so they can't be thinned to less flux; "
            "give --no-augment, or frames in photons"
        )
