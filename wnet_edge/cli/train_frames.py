"""From the options of `wnet-edge train` to where its frames come from."""

from dataclasses import dataclass
from pathlib import Path

import click

from wnet_edge.cli.scan_options import GEOMETRY_FLAGS
from wnet_edge.cli.terminal import print_note
from wnet_edge.cli.train_options import DEFAULT_FRAMES, DEFAULT_WINDOW_PX
from wnet_edge.cli.workshop_scan import Turns, framed_for, own_probe
from wnet_edge.errors import ScanError, TrainingError
from wnet_edge.host.memory import check_memory
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.probe_file import find_probe, instrument_of
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.readers.cxi import read_labels
from wnet_edge.io.scan_file import find_scan
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.judging.label_source import LabelSource, SimulatedLabels
from wnet_edge.physics.objects import Family
from wnet_edge.scan.scan import Scan
from wnet_edge.training.augmentation import Augmentation
from wnet_edge.training.batch import FrameSupply
from wnet_edge.training.distributed import processes
from wnet_edge.training.fixed_frames import FixedFrames
from wnet_edge.training.options import RecipeName
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions
from wnet_edge.training.stored import StoredFrames

_ARRAYS_PER_FRAME = 3
"""Counts, amplitude and phase, FP32; twice while they are put together."""

FROM_COMMAND_LINE = (
    *("probe", "frames_per_epoch", "fixed", "families"),
    *("data", "labels", "augment", "window_px", "workers"),
)
"""Fields of `FrameOptions` that are options of the command, by the same names."""

_TURNS = ("--orientation", "--position-orientation")


@dataclass(frozen=True)
class FrameOptions:
    """What the command line says of the frames, option by option.

    Attributes:
        probe: to simulate with, or of `data`.
        frames_per_epoch: simulated frames.
        fixed: the same simulated frames every epoch.
        families: kinds of simulated object; empty for all.
        data: scan whose frames to take.
        labels: reconstruction to cut their labels from.
        augment: whether to vary them; None leaves it to the recipe.
        window_px: edge of the network's window, as text.
        seed: of everything random.
        workers: processes that make frames beside the training.
        reading: what the user says of the file.
        turns: what is done to the frames of `data`.
        typed: flags of a scan's file that were typed.

    Raises:
        click.UsageError: if options contradict one another.
    """

    probe: str | None
    frames_per_epoch: int | None
    fixed: bool
    families: tuple[str, ...]
    data: Path | None
    labels: Path | None
    augment: bool | None
    window_px: str | None
    seed: int
    workers: int
    reading: ReadOptions
    turns: Turns
    typed: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.data is None and self.probe is None:
            raise click.UsageError("give either --data or --probe")
        if self.data is not None and (
            self.frames_per_epoch is not None or self.fixed or self.families
        ):
            raise click.UsageError(
                "--frames-per-epoch, --fixed and --family are for simulated frames, with --probe "
                "and without --data"
            )
        if self.data is None and (self.labels is not None or self.augment is not None):
            raise click.UsageError("--labels, --augment and --no-augment go with --data")
        if self.data is not None and self.labels is None and self.window_px is not None:
            raise click.UsageError("--window goes with --probe or --labels")
        self._check_scan_flags()

    def _check_scan_flags(self) -> None:
        """Refuse what says nothing of a probe, or turns labels out of step with their frames."""
        of_a_probe = {"--probe", "--profile", *(f"--{n.replace('_', '-')}" for n in GEOMETRY_FLAGS)}
        idle = [flag for flag in self.typed if flag not in of_a_probe]
        if self.data is None and idle:
            hint = (
                "; for frames per epoch, give --frames-per-epoch" if idle[0] == "--frames" else ""
            )
            raise click.UsageError(f"{idle[0]} is an option for scans: it goes with --data{hint}")
        if self.labels is None and any(flag in _TURNS for flag in self.typed):
            raise click.UsageError(f"{_TURNS[0]} and {_TURNS[1]} go with --labels")

    @property
    def edge_px(self) -> int:
        """Edge of the network's window."""
        return DEFAULT_WINDOW_PX if self.window_px is None else int(self.window_px)


def frame_supply(options: FrameOptions, recipe: RecipeName) -> FrameSupply:
    """Where frames come from; says on stderr what is to be known of a scan's.

    Raises:
        ScanError: if the scan can't be read, or lacks what training needs.
        ResultError: if the reconstruction does not fit it.
    """
    if options.data is not None:
        return _stored(options.data, options, recipe)
    simulation = SimulationOptions(
        frames_per_epoch=options.frames_per_epoch or DEFAULT_FRAMES,
        families=tuple(Family(f) for f in options.families) or tuple(Family),
    )
    if options.fixed:
        check_memory(
            2 * simulation.frames_per_epoch * _ARRAYS_PER_FRAME * 4 * options.edge_px**2,
            f"--fixed {simulation.frames_per_epoch} frames",
            "leave out --fixed, or take fewer frames",
            TrainingError,
        )
    probe = find_probe(str(options.probe), options.reading)
    simulated = SimulatedFrames(
        instrument_of(probe, options.edge_px),
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
    stored = StoredFrames(
        scan,
        labels,
        seed=options.seed,
        augmentation=Augmentation() if augment else None,
        workers=options.workers,
        turns=options.turns.named(),
    )
    if processes().first:
        for warning in stored.warnings:
            print_note(f"Warning: {path}: {warning}")
    return stored


def _labelled(path: Path, options: FrameOptions) -> tuple[Scan, LabelSource]:
    found = find_scan(path, options.reading)
    if options.labels is None:
        stored = read_labels(path)
        if stored is None:
            raise ScanError(
                f"{path}: has no labels; name a reconstruction of it with --labels, or a scan that "
                "`wnet-edge simulate` wrote"
            )
        probe = own_probe(found, path, named=options.probe is not None)
        instrument = instrument_of(probe, stored.window_px)
        return framed_for(found, instrument, "training", Turns()).scan, SimulatedLabels(stored)
    probe = own_probe(found, path, named=options.probe is not None)
    instrument = instrument_of(probe, options.edge_px)
    scan = framed_for(found, instrument, "training", options.turns).scan
    labels = CutLabels(read_placed_image(options.labels, scan), scan, options.edge_px)
    left_out = int((~labels.usable).sum())
    if left_out and processes().first:
        print_note(
            f"{path}: {left_out} of {scan.frame_count} frames are not wholly covered by "
            f"{options.labels} and are left out"
        )
    return scan, labels
