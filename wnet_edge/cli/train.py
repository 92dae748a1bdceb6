"""`wnet-edge train`: a network on simulated or stored frames, to a checkpoint."""

from pathlib import Path

import click

from wnet_edge.cli.options import FILE, force_option
from wnet_edge.errors import CheckpointError, ScanError
from wnet_edge.io.cxi import read_labels
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import ModelName
from wnet_edge.outputs import check_output
from wnet_edge.training.batch import FrameSupply, Instrument
from wnet_edge.training.loop import TrainingOptions, train
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions
from wnet_edge.training.stored import StoredFrames

WINDOW_PX = 64


@click.command()
@click.option(
    "--model", type=click.Choice([m.value for m in ModelName]), required=True, help="Network."
)
@click.option("--data", type=FILE, help="Labelled scan that `simulate` wrote.")
@click.option(
    "--probe",
    type=FILE,
    help="Scan whose probe to simulate frames with; its frames are not used.",
)
@click.option("-o", "checkpoint", type=FILE, required=True, help="Checkpoint to write.")
@click.option("--epochs", default=8, show_default=True, help="Passes over the frames.")
@click.option(
    "--frames", type=int, help="Simulated frames an epoch, with --probe.  [default: 12000]"
)
@click.option("--batch-size", default=32, show_default=True, help="Frames a step.")
@click.option("--lr", default=3e-3, show_default=True, help="Peak learning rate.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same weights.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint if it is there.")
@click.option("--init", type=FILE, help="Checkpoint to start from.")
@force_option
def command(
    model: str,
    data: Path | None,
    probe: Path | None,
    checkpoint: Path,
    epochs: int,
    frames: int | None,
    batch_size: int,
    lr: float,
    seed: int,
    resume: bool,
    init: Path | None,
    force: bool,
) -> None:
    """Train a network, writing a checkpoint after every epoch.

    Frames come from a labelled scan (--data) or are simulated on the fly with the probe of a
    measured one (--probe).
    """
    if data is not None and probe is not None:
        raise click.UsageError("give either --data or --probe")
    if frames is not None and probe is None:
        raise click.UsageError("--frames goes with --probe")
    if resume and init is not None:
        raise click.UsageError("--resume goes on from the checkpoint itself; --init starts anew")
    options = TrainingOptions(
        model=ModelName(model), epochs=epochs, batch_size=batch_size, learning_rate=lr, seed=seed
    )
    check_output(checkpoint, CheckpointError, force=force or resume)
    supply: FrameSupply
    if data is not None:
        supply = _stored(data, seed)
    elif probe is not None:
        supply = _simulated(probe, SimulationOptions(frames_per_epoch=frames or 12_000), seed)
    else:
        raise click.UsageError("give --data or --probe")
    batches = -(-supply.frames_per_epoch // batch_size)
    record = train(
        supply,
        options,
        checkpoint,
        resume=resume,
        initial=init,
        progress=Progress(epochs, batches),
    )
    click.echo(f"{checkpoint}: {model} after {record.epoch} epochs")


def _stored(path: Path, seed: int) -> FrameSupply:
    labels = read_labels(path)
    if labels is None:
        raise ScanError(f"{path}: has no labels; `wnet-edge simulate` writes scans that do")
    return StoredFrames(open_scan(path), labels, seed=seed)


def _simulated(path: Path, options: SimulationOptions, seed: int) -> FrameSupply:
    scan = open_scan(path)
    if scan.probe is None:
        raise ScanError(f"{path}: has no probe; name a scan that has one")
    instrument = Instrument(
        probe=scan.probe,
        window_px=WINDOW_PX,
        binning=max(scan.full_window_px // WINDOW_PX, 1),
        object_pixel_size_m=scan.object_pixel_size_m,
        wavelength_m=scan.known_geometry.wavelength_m,
    )
    return SimulatedFrames(instrument, options, seed=seed)
