"""`wnet_edge.adapt`: a scan to a package for its instrument, as `wnet-edge adapt` does it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from wnet_edge.adapt.job import run_adapt
from wnet_edge.adapt.optics_text import optics_from
from wnet_edge.adapt.options import DEFAULT_MINUTES, AdaptOptions, AdaptOutputs
from wnet_edge.adapt.watch import Start, Watch
from wnet_edge.api.scans import File, Scan
from wnet_edge.choices import chosen
from wnet_edge.embedded import find_checkpoint, path_of
from wnet_edge.framing.for_network import Turns
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import Precision
from wnet_edge.physics.orientation import Orientation
from wnet_edge.training.progress import Progress


def adapt(
    scan: Scan | File,
    output: File,
    *,
    minutes: float = DEFAULT_MINUTES,
    optics: str | None = None,
    model: str = ModelName.W3.value,
    init: File | None = ModelName.W3.value,
    window_px: int | None = None,
    binning: int | None = None,
    precisions: Sequence[str] = (),
    reference: File | None = None,
    orientation: str = Orientation.IDENTITY.value,
    position_orientation: str = Orientation.IDENTITY.value,
    picture: File | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Make a package for the instrument of a scan, within a given time; needs `wnet-edge[train]`.

    Interrupted, OUTPUT.safetensors holds every whole epoch; `resume` goes on from there. What the
    package is worth is in its manifest, `wnet_edge.open(path).package.manifest.adaptation`.

    Args:
        scan: from `wnet_edge.read_scan`, which takes a probe and all that a file does not say; or
            a file.
        output: NAME.wnet to write; weights and their errors lie beside it.
        minutes: for everything.
        optics: what lights the sample, where there is no probe: "lens",
            "pinhole:diameter=2um,distance=3mm", "zone-plate:…" or "kb:…".
        model: "w1", "w2", "w3" or "ptychonn".
        init: weights to start from: a checkpoint, or the name of shipped ones; None for random.
        window_px: edge of the network's window, 64 or 128; None: by the probe's size.
        binning: pixels of the frames along an edge of one of the network's; None: likewise.
        precisions: "fp32", "fp16", "int8" …; empty: those of them within the budget.
        reference: reconstruction of the scan to compare the image with.
        orientation: what is done to a frame first: "identity", "rot90" ….
        position_orientation: what is done to the positions' axes, likewise.
        picture: PNG of the scan's image to write; None for none.
        seed: of everything random.
        resume: go on from an interrupted run.
        force: replace existing files.
        progress: tell plan, epochs and warnings on stderr.

    Returns:
        The package.

    Raises:
        OptionError: if arguments contradict each other, or one has no such choice.
        WNetEdgeError: as `wnet_edge.adapt.job.run_adapt`.
    """
    options = AdaptOptions(
        scan=scan.source if isinstance(scan, Scan) else path_of(scan),
        reading=scan.options if isinstance(scan, Scan) else ReadOptions(),
        turns=Turns(
            chosen(Orientation, orientation, "orientation"),
            chosen(Orientation, position_orientation, "position_orientation"),
        ),
        optics=None if optics is None else optics_from(optics),
        model=chosen(ModelName, model, "model"),
        window_px=window_px,
        binning=binning,
        minutes=minutes,
        initial=None if init is None else find_checkpoint(os.fspath(init)),
        reference=None if reference is None else path_of(reference),
        precisions=tuple(chosen(Precision, one, "precisions") for one in precisions),
        seed=seed,
    )
    outputs = AdaptOutputs(
        path_of(output), None if picture is None else path_of(picture), resume, force
    )

    def tell(line: str) -> None:
        if progress:
            sys.stderr.write(f"{line}\n")

    def planned(start: Start) -> None:
        tell(start.text)

    def training(epochs: int, batches: int) -> Progress:
        return Progress(epochs, batches, shown=progress)

    done = run_adapt(options, outputs, Watch(tell, _quietly, planned, training))
    for warning in done.exported.warnings:
        tell(f"Warning: {warning}")
    return done.package.path


def _quietly(_step: str) -> None:
    """Nobody watches single steps."""
