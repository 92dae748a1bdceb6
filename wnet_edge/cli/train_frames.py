"""From the options of `wnet-edge train` to where its frames come from."""

from dataclasses import dataclass
from pathlib import Path

import click

from wnet_edge.cli.terminal import print_note
from wnet_edge.cli.train_options import DEFAULT_FRAMES, DEFAULT_WINDOW_PX
from wnet_edge.cut_labels import CutLabels
from wnet_edge.errors import ScanError, TrainingError
from wnet_edge.io.cxi import read_labels
from wnet_edge.io.placed_image import read_placed_image
from wnet_edge.io.scan_file import open_scan
from wnet_edge.memory import check_memory
from wnet_edge.physics.objects import Family
from wnet_edge.scan import Scan
from wnet_edge.training.augmentation import Augmentation
from wnet_edge.training.batch import FrameSupply, instrument_of
from wnet_edge.training.distributed import processes
from wnet_edge.training.fixed import FixedFrames
from wnet_edge.training.label_source import LabelSource, SimulatedLabels
from wnet_edge.training.options import RecipeName
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions
from wnet_edge.training.stored import StoredFrames

_ARRAYS_PER_FRAME = 3
"""Counts, amplitude and phase, FP32; twice while they are put together."""


@dataclass(frozen=True)
class FrameOptions:
    """What the command line says of the frames, option by option.

    Attributes:
        probe: scan whose probe to simulate with.
        frames: simulated frames an epoch.
        fixed: the same simulated frames every epoch.
        families: kinds of simulated object; empty for all.
        data: scan whose frames to take.
        labels: reconstruction to cut their labels from.
        augment: whether to vary them; None leaves it to the recipe.
        window_px: edge of the network's window, as text.
        seed: of everything random.
        workers: processes that make frames beside the training.

    Raises:
        click.UsageError: if options contradict one another.
    """

    probe: Path | None
    frames: int | None
    fixed: bool
    families: tuple[str, ...]
    data: Path | None
    labels: Path | None
    augment: bool | None
    window_px: str | None
    seed: int
    workers: int

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if (self.data is None) == (self.probe is None):
            raise click.UsageError("give either --data or --probe")
        if self.probe is None and (self.frames is not None or self.fixed or self.families):
            raise click.UsageError("--frames, --fixed and --family go with --probe")
        if self.data is None and (self.labels is not None or self.augment is not None):
            raise click.UsageError("--labels, --augment and --no-augment go with --data")
        if self.data is not None and self.labels is None and self.window_px is not None:
            raise click.UsageError("--window goes with --probe or --labels")

    @property
    def edge_px(self) -> int:
        """Edge of the network's window."""
        return DEFAULT_WINDOW_PX if self.window_px is None else int(self.window_px)


def frame_supply(options: FrameOptions, recipe: RecipeName) -> FrameSupply:
    """Where frames come from; says on stderr how many of a scan's are left out.

    Raises:
        ScanError: if the scan can't be read, or lacks what training needs.
        ResultError: if the reconstruction does not fit it.
    """
    if options.data is not None:
        return _stored(options.data, options, recipe)
    if options.probe is None:
        raise click.UsageError("give either --data or --probe")
    simulation = SimulationOptions(
        frames_per_epoch=options.frames or DEFAULT_FRAMES,
        families=tuple(Family(f) for f in options.families) or tuple(Family),
    )
    if options.fixed:
        check_memory(
            2 * simulation.frames_per_epoch * _ARRAYS_PER_FRAME * 4 * options.edge_px**2,
            f"--fixed {simulation.frames_per_epoch} frames",
            "leave out --fixed, or take fewer frames",
            TrainingError,
        )
    simulated = SimulatedFrames(
        instrument_of(open_scan(options.probe), options.edge_px),
        simulation,
        seed=options.seed,
        workers=options.workers,
    )
    return FixedFrames(simulated, seed=options.seed) if options.fixed else simulated


def _stored(path: Path, options: FrameOptions, recipe: RecipeName) -> FrameSupply:
    augment = options.augment
    if augment is None:
        augment = recipe is not RecipeName.PAPER
    scan, labels = _labelled(path, options)
    return StoredFrames(
        scan,
        labels,
        seed=options.seed,
        augmentation=Augmentation() if augment else None,
        workers=options.workers,
    )


def _labelled(path: Path, options: FrameOptions) -> tuple[Scan, LabelSource]:
    if options.labels is None:
        stored = read_labels(path)
        if stored is None:
            raise ScanError(
                f"{path}: has no labels; name a reconstruction of it with --labels, or a scan that "
                "`wnet-edge simulate` wrote"
            )
        return open_scan(path), SimulatedLabels(stored)
    scan = open_scan(path)
    labels = CutLabels(read_placed_image(options.labels, scan), scan, options.edge_px)
    left_out = int((~labels.usable).sum())
    if left_out and processes().first:
        print_note(
            f"{path}: {left_out} of {scan.frame_count} frames do not lie wholly on "
            f"{options.labels} and are left out"
        )
    return scan, labels
