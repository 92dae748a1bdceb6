"""From what a user says of the frames to where they come from: simulated, stored or measured."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wnet_edge.errors import OptionError, ScanError, TrainingError
from wnet_edge.framing.for_network import Turns, framed_for, own_probe
from wnet_edge.host.memory import check_memory
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.probe_file import find_probe, instrument_of
from wnet_edge.io.read_options import Part, ReadOptions
from wnet_edge.io.readers.cxi import read_labels
from wnet_edge.io.scan_file import find_scan
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.judging.label_source import LabelSource, SimulatedLabels
from wnet_edge.physics.objects import Contrast, Family
from wnet_edge.scan.scan import Scan
from wnet_edge.training.augmentation import Augmentation
from wnet_edge.training.batch import FrameSupply
from wnet_edge.training.fixed_frames import FixedFrames
from wnet_edge.training.options import RecipeName
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions
from wnet_edge.training.stored import StoredFrames

_ARRAYS_PER_FRAME = 3
"""Counts, amplitude and phase, FP32; twice while they are put together."""

DEFAULT_FRAMES = 12_000
"""Simulated frames per epoch."""

DEFAULT_WINDOW_PX = 64


@dataclass(frozen=True)
class FrameOptions:
    """Options of the frames to train on.

    Attributes:
        probe: probe to simulate with, `FILE`, `FILE:DATASET` or an array; with `data`, its own.
        frames_per_epoch: simulated frames per epoch; None for the default.
        fixed: simulate the same frames for every epoch.
        families: kinds of simulated object; empty for all.
        background: largest background of simulated frames, relative to their mean count; None for
            the default.
        blur_px: their largest RMS blur, detector pixels; None for the default.
        phase_rad: largest phase of simulated objects, rad; None for the default, and some objects
            outside of it.
        data: scan whose frames to take, a file or (N, H, W) counts.
        labels: reconstruction to cut their labels from.
        augment: whether to augment them; None for the recipe's choice.
        window_px: edge of the network's window; None for the default.
        seed: seed of everything random.
        workers: processes that make frames beside the training.
        reading: what the user says of the file.
        turns: orientations applied to the frames of `data` and to their positions.

    Raises:
        OptionError: if options contradict each other.
    """

    probe: Part | None = None
    frames_per_epoch: int | None = None
    fixed: bool = False
    families: tuple[str, ...] = ()
    background: float | None = None
    blur_px: float | None = None
    phase_rad: float | None = None
    data: Path | NDArray[Any] | None = None
    labels: Path | None = None
    augment: bool | None = None
    window_px: int | None = None
    seed: int = 0
    workers: int = 0
    reading: ReadOptions = field(default_factory=ReadOptions)
    turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.data is None and self.probe is None:
            raise OptionError("give either --data or --probe")
        simulated = (self.frames_per_epoch, self.background, self.blur_px, self.phase_rad)
        if self.data is not None and (
            self.fixed or self.families or any(value is not None for value in simulated)
        ):
            raise OptionError(
                "--frames-per-epoch, --fixed, --family, --background, --blur-px and --phase-rad "
                "are for simulated frames, with --probe and without --data"
            )
        if self.data is None and (self.labels is not None or self.augment is not None):
            raise OptionError("--labels, --augment and --no-augment go with --data")
        if self.data is not None and self.labels is None and self.window_px is not None:
            raise OptionError("--window goes with --probe or --labels")
        if self.labels is None and self.turns != Turns():
            raise OptionError("--orientation and --position-orientation go with --labels")

    @property
    def edge_px(self) -> int:
        """Edge of the network's window."""
        return DEFAULT_WINDOW_PX if self.window_px is None else self.window_px


def frame_supply(
    options: FrameOptions, recipe: RecipeName, tell: Callable[[str], None]
) -> FrameSupply:
    """Open the source of the frames; `tell` gets a line if some of a scan's are left out.

    Raises:
        ScanError: if the scan can't be read, or lacks what training needs.
        ResultError: if the reconstruction does not fit it.
    """
    if options.data is not None:
        return _stored(options.data, options, recipe, tell)
    simulation = _simulation(options)
    if options.fixed:
        check_memory(
            2 * simulation.frames_per_epoch * _ARRAYS_PER_FRAME * 4 * options.edge_px**2,
            f"--fixed {simulation.frames_per_epoch} frames",
            "leave out --fixed, or take fewer frames",
            TrainingError,
        )
    if options.probe is None:
        raise OptionError("give either --data or --probe")
    probe = find_probe(options.probe, options.reading)
    simulated = SimulatedFrames(
        instrument_of(probe, options.edge_px),
        simulation,
        seed=options.seed,
        workers=options.workers,
    )
    return FixedFrames(simulated, seed=options.seed) if options.fixed else simulated


def _simulation(options: FrameOptions) -> SimulationOptions:
    default = SimulationOptions()
    detector = default.detector
    if options.background is not None:
        detector = replace(detector, background=options.background)
    contrast = default.contrast
    if options.phase_rad is not None:
        contrast = Contrast.up_to(options.phase_rad)
    return SimulationOptions(
        frames_per_epoch=options.frames_per_epoch or DEFAULT_FRAMES,
        families=tuple(Family(f) for f in options.families) or tuple(Family),
        detector=detector,
        contrast=contrast,
        blur_px=default.blur_px if options.blur_px is None else options.blur_px,
    )


def _stored(
    data: Path | NDArray[Any],
    options: FrameOptions,
    recipe: RecipeName,
    tell: Callable[[str], None],
) -> FrameSupply:
    augment = options.augment
    if augment is None:
        augment = recipe is not RecipeName.PAPER
    scan, labels = _labelled(data, options, tell)
    stored = StoredFrames(
        scan,
        labels,
        seed=options.seed,
        augmentation=Augmentation() if augment else None,
        workers=options.workers,
        turns=options.turns.named(),
    )
    for warning in stored.warnings:
        tell(f"Warning: {scan.path}: {warning}")
    return stored


def _labelled(
    data: Path | NDArray[Any], options: FrameOptions, tell: Callable[[str], None]
) -> tuple[Scan, LabelSource]:
    found = find_scan(data, options.reading)
    path, named = found.path, options.probe is not None
    if options.labels is None:
        stored = read_labels(data) if isinstance(data, Path) else None
        if stored is None:
            raise ScanError(
                f"{path}: has no labels; name a reconstruction of it with --labels, or a scan that "
                "`wnet-edge simulate` wrote"
            )
        instrument = instrument_of(own_probe(found, path, named=named), stored.window_px)
        return framed_for(found, instrument, "training", Turns()).scan, SimulatedLabels(stored)
    instrument = instrument_of(own_probe(found, path, named=named), options.edge_px)
    scan = framed_for(found, instrument, "training", options.turns).scan
    labels = CutLabels(read_placed_image(options.labels, scan), scan, options.edge_px)
    left_out = int((~labels.usable).sum())
    if left_out:
        tell(
            f"{path}: {left_out} of {scan.frame_count} frames are not wholly covered by "
            f"{options.labels} and are left out"
        )
    return scan, labels
