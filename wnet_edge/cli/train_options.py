"""The options of `wnet-edge train`, in the sections in which its help shows them."""

from enum import Enum
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.example import DATA, PART
from wnet_edge.cli.number_types import SEED, Number
from wnet_edge.cli.options import FILE
from wnet_edge.cli.scan_options import is_scan_flag
from wnet_edge.embedded import find_checkpoint
from wnet_edge.models.registry import MAX_WIDTH, MIN_WIDTH, ModelName, NetworkInput
from wnet_edge.physics.objects import Family
from wnet_edge.training.device import DeviceName
from wnet_edge.training.frame_supply import DEFAULT_FRAMES, DEFAULT_WINDOW_PX
from wnet_edge.training.options import PhaseError, RecipeName
from wnet_edge.training.simulation import SimulationOptions

MAX_FRAMES, MAX_EPOCHS, MAX_BATCH_FRAMES, MAX_WORKERS = 100_000_000, 100_000, 4096, 256
MAX_BLUR_PX = 8.0
MIN_PHASE_RAD, MAX_PHASE_RAD = 0.01, 30.0

_SIMULATED = SimulationOptions()


def _choices(names: type[Enum]) -> click.Choice[str]:
    return click.Choice([name.value for name in names])


class _WeightsFile(click.ParamType[Path]):
    """A checkpoint, or the name of weights that ship with wnet-edge."""

    name = "weights"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,  # noqa: ARG002 - likewise
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path:
        """The file's path."""
        return find_checkpoint(str(value))


SECTIONS = {
    "Network": (
        click.Option(
            ["--model"],
            type=_choices(ModelName),
            help="Network architecture; required, unless --self-supervised takes that of --init.",
        ),
        click.Option(
            ["--input", "seen"],
            type=_choices(NetworkInput),
            help="Network input: the frame alone, or with its back-projection under the probe.  "
            "[default: frame for ptychonn, otherwise back-projected]",
        ),
        click.Option(
            ["--width"],
            type=Number(MIN_WIDTH, MAX_WIDTH),
            default=1.0,
            show_default=True,
            help="Factor on the number of channels.",
        ),
        click.Option(
            ["--window", "window_px"],
            type=click.Choice(["64", "128", "256"]),
            help="Edge of the network's window in pixels, with --probe or --labels.  "
            f"[default: {DEFAULT_WINDOW_PX}]",
        ),
    ),
    "Simulated frames": (
        click.Option(
            ["--probe"],
            type=PART,
            metavar="FILE[:PATH]",
            help="Probe to simulate frames with, from any file that has one: a scan, a Ptychodus "
            "product, an .npz or .npy, a dataset. With --data: the probe of that scan.",
        ),
        click.Option(
            ["--frames-per-epoch"],
            type=click.IntRange(1, MAX_FRAMES),
            help=f"Frames simulated anew for each epoch.  [default: {DEFAULT_FRAMES}]",
        ),
        click.Option(
            ["--fixed"], is_flag=True, help="Keep frames in memory and use the same every epoch."
        ),
        click.Option(
            ["--family", "families"],
            type=_choices(Family),
            multiple=True,
            help="Kind of simulated object; repeatable.  [default: all]",
        ),
        click.Option(
            ["--background"],
            type=Number(0, 1, max_open=True),
            help="Largest background of simulated frames, relative to their mean count: that of "
            "the instrument, so that the network is as good as it can be there.  [default: "
            f"{_SIMULATED.detector.background:g}]",
        ),
        click.Option(
            ["--blur-px"],
            type=Number(0, MAX_BLUR_PX),
            help="Largest blur (RMS) of simulated frames in detector pixels, by a source larger "
            f"than the modes of the probe tell.  [default: {_SIMULATED.blur_px:g}]",
        ),
        click.Option(
            ["--phase-rad"],
            type=Number(MIN_PHASE_RAD, MAX_PHASE_RAD),
            help="Largest phase of simulated objects in rad; the weakest has a fifteenth of it.  "
            f"[default: {_SIMULATED.contrast.phase_rad[1]:g}, and {_SIMULATED.contrast.odd:.0%} of "
            "the objects far weaker, or up to twice as strong]",
        ),
    ),
    "Frames of a file": (
        click.Option(
            ["--data"],
            type=DATA,
            help="Scan to train on; frames are read as they are needed. One tenth, at one end of "
            "the scan, is held out for validation, behind a gap of a full window.",
        ),
        click.Option(
            ["--self-supervised"],
            is_flag=True,
            help="Train the network of --init further on the scan of --data without labels: its "
            "stitched image must give the measured frames. For live images and further scans of "
            "the same sample. One fifth of the scan is held out; unless its R-factor falls, "
            "nothing is written.",
        ),
        click.Option(
            ["--labels"],
            type=DATA,
            help="Reconstruction of that scan to cut labels from: a result file, or an .npz with "
            "object and window_top_left_px.  [default: labels written by `simulate`]",
        ),
        click.Option(
            ["--augment/--no-augment"],
            default=None,
            help="Vary flux, background and dead pixels of measured frames.  [default: yes; paper: "
            "no]",
        ),
    ),
    "Training": (
        click.Option(
            ["--recipe"],
            type=_choices(RecipeName),
            default=RecipeName.FAST.value,
            show_default=True,
            help="Training recipe. fast: AdamW, one-cycle learning rate, loss weighted by the "
            "illumination; paper: Adam, constant learning rate, plain MAE, no augmentation. Both "
            "hold out a tenth of the scan.",
        ),
        click.Option(
            ["--epochs"],
            type=click.IntRange(1, MAX_EPOCHS),
            help="Number of epochs.  [default: 8; paper: 60; --self-supervised: 12]",
        ),
        click.Option(
            ["--batch-size"],
            type=click.IntRange(2, MAX_BATCH_FRAMES),
            help="Frames per training step.  [default: 32; --self-supervised: 16 neighbours]",
        ),
        click.Option(
            ["--lr"],
            type=Number(0, 1, min_open=True, max_open=True),
            help="Peak learning rate.  [default: 3e-3; paper: 1e-3; --self-supervised: 1e-4]",
        ),
        click.Option(
            ["--phase-error"],
            type=_choices(PhaseError),
            help="Phase term of the loss: the squared chord, minimised by the mean phase, or the "
            "absolute error, minimised by the median.  [default: chord; paper: absolute]",
        ),
        click.Option(
            ["--freeze-norm"],
            is_flag=True,
            help="Keep the running statistics of batch norm, for fine-tuning with --init.",
        ),
        click.Option(
            ["--init"],
            type=_WeightsFile(),
            metavar="NAME|FILE",
            help="Initial weights: a checkpoint, or the name of a network whose trained weights "
            "ship with wnet-edge, e.g. w3.",
        ),
        click.Option(
            ["--seed"],
            type=SEED,
            default=0,
            show_default=True,
            help="Random seed; the same seed gives the same weights.",
        ),
    ),
    "Running": (
        click.Option(
            ["-o", "checkpoint"],
            type=FILE,
            required=True,
            metavar="NAME.safetensors",
            help="Checkpoint, written after every epoch; loss and errors go to NAME.csv.",
        ),
        click.Option(
            ["--device"],
            type=_choices(DeviceName),
            default=DeviceName.AUTO.value,
            show_default=True,
            help="Device to train on. auto: an NVIDIA GPU that PyTorch can use, otherwise the CPU. "
            "A checkpoint can be resumed on either.",
        ),
        click.Option(["--resume"], is_flag=True, help="Continue from the checkpoint if it exists."),
        click.Option(
            ["--workers"],
            type=click.IntRange(0, MAX_WORKERS),
            default=0,
            show_default=True,
            help="Extra processes that simulate or read frames; the weights do not depend on it.",
        ),
        click.Option(
            ["--tensorboard"], type=FILE, metavar="FOLDER", help="Folder for TensorBoard curves."
        ),
    ),
}
"""Title to options; what else the command has joins the last."""

SCAN_SECTION = "Scan options, for what the file of --data or --probe lacks"

PARAMETERS: tuple[click.Parameter, ...] = tuple(o for part in SECTIONS.values() for o in part)


class SectionedCommand(click.Command):
    """A command whose help shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A table a section; flags of a scan's file, which many commands have, in one of theirs."""
        sections: dict[str, list[click.Parameter]] = {t: list(o) for t, o in SECTIONS.items()}
        others = [option for option in self.get_params(ctx) if option not in PARAMETERS]
        last = sections[list(sections)[-1]]
        last += [option for option in others if not is_scan_flag(option)]
        sections[SCAN_SECTION] = [option for option in others if is_scan_flag(option)]
        for title, options in sections.items():
            with formatter.section(title):
                records = [option.get_help_record(ctx) for option in options]
                formatter.write_dl([record for record in records if record is not None])
