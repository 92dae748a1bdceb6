"""Export of a checkpoint to a package, with all checks and measurements.

checkpoint → FP32 graph → parity with PyTorch → every precision, measured → package file.
Calibration, selection and reported figures use three strips of a scan that was not trained on.
"""

import math
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from wnet_edge.calibration.ranges import ranges_of, read_ranges
from wnet_edge.errors import CheckpointError, ExportError, PackageError
from wnet_edge.export.graph import serialise
from wnet_edge.export.held_out import held_out, measured
from wnet_edge.export.int8.fine_tune import FineTuning
from wnet_edge.export.int8.layers import named
from wnet_edge.export.int8.quantise import LAYOUTS
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.export.parity import assert_parity
from wnet_edge.export.passes.compact import compacted
from wnet_edge.export.passes.finish import finished
from wnet_edge.export.precisions import Made, Source, make
from wnet_edge.export.refused_precision import PrecisionError
from wnet_edge.export.trace import export_fp32
from wnet_edge.judging.yardstick import Judge
from wnet_edge.models.registry import parameter_count
from wnet_edge.package.golden import Deviation, GoldenFrames
from wnet_edge.package.manifest import (
    CountRange,
    FrameFit,
    Precision,
    Setting,
    Training,
    creation_time,
)
from wnet_edge.package.opening import Package
from wnet_edge.package.packing import PackageContent, pack, write_package
from wnet_edge.physics.instrument import Instrument
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import BATCH_SIZE, RunnerOptions
from wnet_edge.runner.image.infer import Inference, infer
from wnet_edge.runner.image.verdict import (
    CONTRAST_RANGE,
    LEAST_EXPLAINED,
    MEASURED_R,
    explains,
)
from wnet_edge.scan.preparation import fault_lines
from wnet_edge.scan.scan import Scan
from wnet_edge.training.checkpoint import TrainingRecord, load_network
from wnet_edge.training.self_supervised import SOURCE as SELF_SUPERVISED

_QAT_SEED = 20
"""Of the frames of quantisation-aware training: the same checkpoint gives the same package."""


def _quietly(_step: str) -> None:
    """Default report of the steps: none."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        package: the package as written.
        parity: deviation of its FP32 graph from the trained network.
        made: graphs and their measurements, by precision.
        left_out: optional precisions that exceed the budget or go wrong here, with the reason.
        judge: origin of the ground truth for the accuracy.
        warnings: warnings for the user, one line each.
    """

    package: Package
    parity: Deviation
    made: dict[Precision, Made]
    left_out: dict[Precision, PrecisionError]
    judge: Judge
    warnings: tuple[str, ...]


def export_package(
    checkpoint: Path,
    material: Material,
    output: Path,
    options: ExportOptions,
    *,
    force: bool,
    tell: Callable[[str], None] = _quietly,
    own_checkpoint: bool = False,
) -> Exported:
    """Export a checkpoint to a package file with a graph for every requested precision.

    Args:
        checkpoint: file of trained weights.
        material: scan and reference for calibration and measurements.
        output: package file to write.
        options: export options.
        force: replace an existing file.
        tell: called with one line at the start of each step.
        own_checkpoint: the caller has written the checkpoint itself, which is no input then.

    Raises:
        CheckpointError: if the checkpoint is missing or damaged, trained for another instrument, or
            trained on this scan.
        ScanError: if the scan has too few frames to be split.
        CalibrationError: if its frames are of another kind than declared, or the file of ranges
            belongs to another graph or other frames.
        ResultError: if the reference does not explain its frames.
        PrecisionError: if a precision that is not optional exceeds the budget (with the trials,
            `OverBudgetError`), or this processor computes its graph wrongly.
        ExportError: if the graph deviates from the network, or the network is hardly trained, or
            can't be trained for INT8.
        SimulationError: if frames for that training can't be simulated.
        PackageError: if the package can't be written.
    """
    network, loaded = load_network(checkpoint, written_over=own_checkpoint)
    instrument, record, scan = loaded.instrument, loaded.record, material.scan
    seen = _check_not_trained_on(scan, record)
    created = _created(record)
    if options.ranges is not None and options.ranges.exists():
        read_ranges(options.ranges)
    tell(f"reading {scan.path.name}")
    split = held_out(material, instrument, choosing={*options.precisions} != {Precision.FP32})
    tell(f"tracing {record.network.model.value}")
    graph = export_fp32(network, instrument.window_px, options.opset)
    graph = serialise(named(onnx.load_from_string(graph)))
    shipped = serialise(compacted(onnx.load_from_string(graph)))
    parity = assert_parity(shipped, network, split.counts)
    # Once for all INT8 layouts.
    ranges = []
    if any(precision in LAYOUTS for precision in options.precisions):
        tell("finding ranges")
        ranges = ranges_of(graph, split.counts, options.calibrators, options.ranges)
    source = Source(
        graph=graph,
        shipped=shipped,
        opset=options.opset,
        held_out=split,
        selection=measured(split.selection, shipped),
        report=measured(split.report, shipped),
        budget=options.budget,
        ranges=ranges,
        fine_tuning=_fine_tuning(instrument, options, tell),
        ask_layers=options.ask_layers,
    )
    fp32 = make(Precision.FP32, source)

    def content_of(made: dict[Precision, Made]) -> PackageContent:
        return PackageContent(
            model=record.network.model.value,
            parameter_count=parameter_count(network),
            window_px=instrument.window_px,
            binning=instrument.binning,
            object_pixel_size_m=instrument.object_pixel_size_m,
            probe=instrument.probe,
            graphs={precision: one.graph for precision, one in made.items()},
            golden=GoldenFrames(
                split.golden, {precision: one.golden for precision, one in made.items()}
            ),
            tolerance={precision: one.tolerance for precision, one in made.items()},
            training=_training(record),
            versions=_versions(),
            created=created,
            batch_size=options.batch_size,
            calibration=split.calibration,
            orientation=material.orientation,
        )

    tell(f"comparing its image with the frames of {scan.path.name}")
    image = _own_image(finished(content_of({Precision.FP32: fp32})), scan)
    fit = _own_fit(image.self_check.fit)
    doubts = _check_trained(fit, scan, allow_untrained=options.allow_untrained)
    made: dict[Precision, Made] = {}
    left_out: dict[Precision, PrecisionError] = {}
    for precision in options.precisions:
        tell(f"making and measuring {precision.value}")
        try:
            made[precision] = fp32 if precision is Precision.FP32 else make(precision, source)
        except PrecisionError as error:
            if precision not in options.optional:
                raise
            left_out[precision] = error
    content = replace(finished(content_of(made)), self_check=fit)
    return Exported(
        package=write_package(output, content, force=force, key=options.key),
        parity=parity,
        made=made,
        left_out=left_out,
        judge=source.report.yardstick.judge,
        warnings=(
            *seen,
            *split.warnings,
            *(f"{scan.path}: {line}" for line in _faults(image)),
            *doubts,
            *map(_left_out, left_out.values()),
        ),
    )


def _left_out(error: PrecisionError) -> str:
    """Warning about a precision that was left out of the package."""
    return f"{error.precision.value} is left out of the package: {error.reason}; {error.cure}"


def _created(record: TrainingRecord) -> str:
    try:
        return creation_time(datetime.fromisoformat(record.created).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise ExportError(
            f"SOURCE_DATE_EPOCH is not a number of seconds since 1970 ({error}); unset it"
        ) from error


def _check_not_trained_on(scan: Scan, record: TrainingRecord) -> tuple[str, ...]:
    """Refuse a scan with whose labels the network was trained: its accuracy would be overestimated.

    Without labels it was told no more than `infer` knows; a warning says so.
    """
    data = record.settings["data"]
    if data.get("sha256") != scan.sha256:
        return ()
    if data["source"] != SELF_SUPERVISED:
        raise CheckpointError(
            f"{scan.path}: the network was trained on this scan; name another one of the same "
            "instrument with --calibration, or have frames simulated for it: --calibration-source "
            "simulated without --calibration"
        )
    return (
        f"{scan.path}: the network was trained on this scan, though without labels: the figures "
        "hold for the scan itself; for others of the sample, name one with --calibration",
    )


def _fine_tuning(
    instrument: Instrument, options: ExportOptions, tell: Callable[[str], None]
) -> FineTuning | None:
    if not options.qat_epochs:
        return None
    return FineTuning(instrument, options.qat_epochs, _QAT_SEED, tell)


def _own_image(content: PackageContent, scan: Scan) -> Inference:
    """Image that an FP32 package gives of the scan, none of whose frames was trained on."""
    try:
        package = pack(content)
    except ValueError as error:
        raise PackageError(f"can't be packed ({error}); export from a checkpoint") from error
    # All options given, so that no tuning record of this device has an influence.
    options = RunnerOptions(Precision.FP32, Provider.CPU, threads=0, batch_size=BATCH_SIZE)
    return infer(scan, open_best_graph(package, options))


def _faults(image: Inference) -> tuple[str, ...]:
    """Warnings about the scan's frames."""
    return fault_lines(
        image.frames_lost, image.frames_flat, image.values_masked, image.values_clipped
    )


def _own_fit(fit: FrameFit | None) -> FrameFit | None:
    """R-factors of the package's own image, for `infer` to compare others with.

    None if the scan is too small, too dim or scatters too weakly: no more than good images leave
    of it.
    """
    if fit is None or fit.r_floor >= min(fit.r_factor, fit.r_blank):
        return None
    if not explains(fit) and fit.r_blank_free < MEASURED_R:
        return None
    return fit.rounded


def _check_trained(fit: FrameFit | None, scan: Scan, *, allow_untrained: bool) -> tuple[str, ...]:
    """Warnings about a network that does not explain the scan of its own instrument well enough.

    Raises:
        ExportError: if it does not, and `allow_untrained` is False.
    """
    if fit is None:
        return (
            f"{scan.path}: too small, too dim or scatters too weakly to tell how well the network "
            "explains it: infer will call no image of this package trusted; name another scan "
            "with --calibration",
        )
    if explains(fit):
        return ()
    low, high = CONTRAST_RANGE
    told = (
        f"{scan.path}: the network explains {100 * fit.explained:.0f} % of what a blank object "
        f"leaves of it unexplained, with contrast {fit.contrast:.2f} (at least "
        f"{100 * LEAST_EXPLAINED:.0f} % and {low:g} … {high:g} are needed)"
    )
    if not allow_untrained:
        raise ExportError(
            f"{told}: it is hardly trained, or for another probe; train it longer, or package it "
            "all the same with --allow-untrained"
        )
    return (f"{told}: infer will call hardly any image of this package trusted",)


def _training(record: TrainingRecord) -> Training:
    settings = record.settings
    data, recipe = settings["data"], settings["recipe"]
    told = {key: settings[key] for key in settings if key not in ("seed", "epochs", "data")}
    told["network"] = {k: v for k, v in settings["network"].items() if k != "model"}
    last = record.history[-1]
    return Training(
        recipe=f"{data['source']}, {recipe['name']}",
        seed=settings["seed"],
        data_sha256=data.get("sha256", data["probe_sha256"]),
        epochs=record.epoch,
        frames=data["frames_per_epoch"],
        counts=_trained_counts(data),
        settings=_flat(told) | {n: last[n] for n in last if n.startswith("validation")},
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Setting]:
    """Nested settings flattened to dotted names; values that JSON lacks (infinity) become text."""
    flat: dict[str, Setting] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            plain = isinstance(value, str | int) or (
                isinstance(value, float) and math.isfinite(value)
            )
            flat[prefix + key] = value if plain else str(value)
    return flat


def _trained_counts(data: dict[str, Any]) -> CountRange | None:
    """Range of incident counts of simulated training frames; None for others (unknown flux)."""
    if "detector" not in data:
        return None
    low, high = data["detector"]["photons"]
    return CountRange(float(low), float(high))


def _versions() -> dict[str, str]:
    names = ("wnet-edge", "torch", "onnx", "onnxscript", "numpy")
    return {
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        **{name: version(name) for name in names},
    }
