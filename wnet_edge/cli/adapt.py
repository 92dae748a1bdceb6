"""`wnet-edge adapt`: a scan to a package for its instrument, in a given time."""

import sys
from pathlib import Path
from typing import Any

import click

from wnet_edge.adapt.evaluation import described
from wnet_edge.adapt.finish import Adapted
from wnet_edge.adapt.job import run_adapt
from wnet_edge.adapt.optics_text import FORMS, optics_from
from wnet_edge.adapt.options import DEFAULT_MINUTES, AdaptOptions, AdaptOutputs
from wnet_edge.adapt.sampling import WINDOWS_PX
from wnet_edge.adapt.watch import Start, Watch
from wnet_edge.cli.example import DATA
from wnet_edge.cli.export_report import print_warnings
from wnet_edge.cli.number_types import SEED, Number
from wnet_edge.cli.options import FILE, force_option, json_option, no_links_option, print_json
from wnet_edge.cli.resumable import resumable
from wnet_edge.cli.scan_options import (
    known_orientation_options,
    read_options_from,
    scan_options,
    turns_from,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import find_checkpoint, named, resolved, shipped_weights
from wnet_edge.errors import OptionError
from wnet_edge.export.options import DEFAULT_PRECISIONS
from wnet_edge.io.images.result_format import picture_beside
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import PACKAGE_SUFFIX
from wnet_edge.physics.optics import Optics
from wnet_edge.runner.image.provenance import fit_values
from wnet_edge.training.progress import Progress

_NO_WEIGHTS = "none"
_MOST_MINUTES = 7 * 24 * 60


class _OpticsWords(click.ParamType[Optics]):
    """Optics as `wnet_edge.adapt.optics_text` reads them."""

    name = "optics"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Optics:
        """Of text."""
        try:
            return optics_from(str(value))
        except OptionError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("scan", metavar="SCAN")
@click.option(
    "-o",
    "output",
    type=FILE,
    help="Package file; the weights lie beside it as NAME.safetensors, their errors as NAME.csv.  "
    "[default: ./SCAN.wnet]",
)
@click.option(
    "--minutes",
    type=Number(0.1, _MOST_MINUTES),
    default=DEFAULT_MINUTES,
    show_default=True,
    help="Time for everything, from the first look at the scan to the package.",
)
@click.option(
    "--optics",
    type=_OpticsWords(),
    metavar="KIND:NAME=LENGTH,…",
    help="What lights the sample, if there is no probe: it is reconstructed from a part of the "
    f"scan, its focus found by trial. One of: {'; '.join(FORMS)}. Lengths need a unit (30nm, "
    "150um); defocus is the distance of the sample downstream of the focus.",
)
@click.option(
    "--model",
    type=click.Choice([m.value for m in ModelName]),
    default=ModelName.W3.value,
    show_default=True,
    help="Network to train.",
)
@click.option(
    "--init",
    metavar="NAME|FILE|none",
    help="Weights to start from: a checkpoint, the name of a network whose trained weights ship "
    "with wnet-edge, or none for random ones.  [default: those shipped for --model]",
)
@click.option(
    "--window",
    "window_px",
    type=click.Choice([str(n) for n in WINDOWS_PX]),
    help="Edge of the network's window in pixels.  [default: by the probe's size]",
)
@click.option(
    "--binning",
    type=click.IntRange(1, 64),
    help="Pixels of the frames, along an edge, that are summed into one of the network's.  "
    "[default: by the probe's size]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice([kind.value for kind in Precision]),
    multiple=True,
    help="Precision to export; repeatable.  [default: "
    f"those of {', '.join(kind.value for kind in DEFAULT_PRECISIONS)} within the accuracy budget]",
)
@click.option(
    "--reference",
    type=DATA,
    help="Reconstruction of the scan to compare the image with.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Random seed.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option(
    "--image",
    "picture",
    type=FILE,
    help="Picture of the scan as the package images it.  [default: NAME.png beside the package]",
)
@click.option("--no-image", is_flag=True, help="Write no picture.")
@known_orientation_options
@scan_options
@no_links_option
@force_option
@json_option
def command(
    scan: str,
    output: Path | None,
    minutes: float,
    optics: Optics | None,
    model: str,
    init: str | None,
    window_px: str | None,
    binning: int | None,
    precisions: tuple[str, ...],
    reference: Path | None,
    seed: int,
    resume: bool,
    picture: Path | None,
    no_image: bool,
    force: bool,
    as_json: bool,
    **values: Any,  # noqa: ANN401 - those of scan_options and known_orientation_options
) -> None:
    """Make a package for the instrument of a scan, in ten minutes.

    The scan's probe, one from another file (--probe) or one that is reconstructed from the scan
    (--optics) lights procedural objects; a network is trained on the frames simulated so, exported
    in every precision, and judged on the scan, none of whose frames it has seen. Ctrl-C keeps all
    whole epochs for --resume.
    """
    if no_image and picture is not None:
        raise click.UsageError("give either --image or --no-image")
    package = output or Path(f"{named(scan).stem}{PACKAGE_SUFFIX}")
    turns = turns_from(values)
    try:
        options = AdaptOptions(
            scan=Path(resolved(scan)),
            reading=read_options_from(values),
            turns=turns,
            optics=optics,
            model=ModelName(model),
            window_px=None if window_px is None else int(window_px),
            binning=binning,
            minutes=minutes,
            initial=_initial(init, model),
            reference=reference,
            precisions=tuple(Precision(name) for name in precisions),
            seed=seed,
        )
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    outputs = AdaptOutputs(
        package, None if no_image else picture or picture_beside(package), resume, force
    )
    shown: list[Progress] = []

    def training(epochs: int, batches: int) -> Progress:
        shown.append(Progress(epochs, batches))
        return shown[0]

    with resumable(outputs.checkpoint, shown, resume=resume):
        adapted = run_adapt(options, outputs, Watch(print_note, _step, _print_plan, training))
    print_warnings(adapted.exported)
    if as_json:
        print_json(_summary(adapted, outputs))
    else:
        _print_verdict(adapted, outputs)


def _initial(init: str | None, model: str) -> Path | None:
    if init == _NO_WEIGHTS:
        return None
    return shipped_weights(model) if init is None else find_checkpoint(init)


def _step(line: str) -> None:
    """A step that begins, to whoever watches."""
    if sys.stderr.isatty():
        print_note(f"{line} …")


def _print_plan(start: Start) -> None:
    print_note(start.text)


def _print_verdict(adapted: Adapted, outputs: AdaptOutputs) -> None:
    done, manifest = adapted.adaptation, adapted.package.manifest
    precisions = ", ".join(kind.value for kind in manifest.kinds())
    print_line(
        f"{adapted.package.path}: {manifest.model} for {manifest.window_px}-px frames, "
        f"{adapted.package.path.stat().st_size} bytes ({precisions}), trained on "
        f"{adapted.frames_trained} frames, in {adapted.seconds / 60:.1f} min"
    )
    for name, fit, correlation in (
        ("its image", done.image, done.phase_correlation),
        (f"after {done.passes} refinement passes", done.refined, done.refined_phase_correlation),
    ):
        print_line(f"{name}: {described(fit)}{_correlation_text(correlation)}")
    reason = "" if done.reason is None else f": {done.reason}"
    print_line(f"{done.grade.value}{reason}")
    if outputs.picture is not None:
        print_line(f"picture: {outputs.picture}")


def _correlation_text(correlation: float | None) -> str:
    return (
        "" if correlation is None else f", phase correlation {correlation:.3f} with the reference"
    )


def _summary(adapted: Adapted, outputs: AdaptOutputs) -> dict[str, object]:
    """The last line of `--json`."""
    done, package = adapted.adaptation, adapted.package

    return {
        "package": str(package.path),
        "package_sha256": package.sha256,
        "size_bytes": package.path.stat().st_size,
        "picture": None if outputs.picture is None else str(outputs.picture),
        "precisions": [kind.value for kind in package.manifest.kinds()],
        "window_px": package.manifest.window_px,
        "binning": package.manifest.binning,
        "object_pixel_size_m": package.manifest.object_pixel_size_m,
        "probe_from": done.probe_from,
        "choices": list(done.choices),
        "frames_trained": adapted.frames_trained,
        "epochs": package.manifest.training.epochs,
        "seconds": adapted.seconds,
        "image": done.image and fit_values(done.image),
        "refined": done.refined and fit_values(done.refined),
        "refined_passes": done.passes,
        "phase_correlation": done.phase_correlation,
        "refined_phase_correlation": done.refined_phase_correlation,
        "grade": done.grade.value,
        "reason": done.reason,
        "warnings": list(adapted.exported.warnings),
    }
