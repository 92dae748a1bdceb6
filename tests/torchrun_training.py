"""What test_training_processes runs under torchrun, and alone: one training a kind of supply."""

import contextlib
import sys
from pathlib import Path

import torch.distributed as dist
from tiny_training import Interrupted, measurement, options, supply

from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.training import simulation
from wnet_edge.training.augmentation import Augmentation
from wnet_edge.training.batch import FrameSupply
from wnet_edge.training.distributed import joined, this_rank
from wnet_edge.training.fixed_frames import FixedFrames
from wnet_edge.training.loop import train
from wnet_edge.training.progress import Progress
from wnet_edge.training.stored import StoredFrames

KINDS = ("simulated", "fixed", "measured")


def train_all(folder: Path) -> None:
    """A checkpoint a kind in `folder`; each training is interrupted once and resumed."""
    simulation._CHUNK_FRAMES = 4  # several tasks an epoch, made by different processes
    folder.mkdir(exist_ok=True)
    own = folder / f"rank{this_rank().rank}"
    own.mkdir(exist_ok=True)
    for kind in KINDS:
        path = folder / f"{kind}.safetensors"
        how = options(freeze_norm=True)
        with contextlib.suppress(KeyboardInterrupt):
            train(frames(kind, own), how, path, progress=Interrupted(2, 3, shown=False))
        if dist.is_initialized():
            dist.barrier()  # the first process has written its checkpoint
        train(frames(kind, own), how, path, resume=True, progress=Progress(2, 3, shown=False))


def frames(kind: str, folder: Path) -> FrameSupply:
    """Nine frames and batches of four: the last batch is one, too few for two processes."""
    if kind == "measured":
        scan, reference = (known := measurement(folder)).scan, known.reference
        labels = CutLabels(read_placed_image(reference, scan), scan, 32)
        return StoredFrames(scan, labels, seed=1, augmentation=Augmentation())
    simulated = supply(frames_per_epoch=9)
    return FixedFrames(simulated, seed=1) if kind == "fixed" else simulated


if __name__ == "__main__":
    with joined():
        train_all(Path(sys.argv[1]))
