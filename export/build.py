"""Export as one step: checkpoint in, a package that was checked against the network out.

checkpoint → FP32 graph → parity with PyTorch → golden frames → package file. The golden frames are
measured ones, from the calibration strip of a scan that training never saw.
"""

import hashlib
import math
import platform
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.errors import CheckpointError, ExportError, PackageError
from wnet_edge.export.finish import finished
from wnet_edge.export.graph import export_fp32
from wnet_edge.export.options import ExportOptions
from wnet_edge.export.parity import Difference, assert_parity
from wnet_edge.geometry import positions_px
from wnet_edge.manifest import (
    Calibration,
    CalibrationSource,
    CountRange,
    Precision,
    SelfCheckLevel,
    Setting,
    Tolerance,
    Training,
    creation_time,
)
from wnet_edge.models.registry import parameter_count
from wnet_edge.package import GoldenFrames, Graph, Package, PackageContent, pack, write_package
from wnet_edge.preprocess import network_counts
from wnet_edge.runner.infer import infer
from wnet_edge.runner.session import Provider, RunnerOptions
from wnet_edge.scan import Scan
from wnet_edge.training.batch import Instrument
from wnet_edge.training.checkpoint import TrainingRecord, load_network

GOLDEN_FRAMES = 8

TOLERANCE = Tolerance(amplitude=0.02, phase_rad=0.1, phase_rms_rad=0.02)
"""How far another processor or TF32 may stray: an order above the largest rounding seen, an order
below what a broken kernel does."""


@dataclass(frozen=True)
class Exported:
    """A written package and how near its graph is to the trained network."""

    package: Package
    parity: Difference


def export_package(
    checkpoint: Path, scan: Scan, output: Path, options: ExportOptions, *, force: bool
) -> Exported:
    """Export a checkpoint to a package file, with golden frames from `scan`.

    Raises:
        CheckpointError: if the checkpoint is missing or damaged, or trained for another instrument.
        ScanError: if the scan is too small to be split.
        ExportError: if the graph and the network differ.
        PackageError: if the package can't be written.
    """
    network, loaded = load_network(checkpoint)
    instrument, record = loaded.instrument, loaded.record
    counts, calibration = held_out_counts(scan, instrument)
    graph = export_fp32(network, instrument.window_px, options.opset)
    parity = assert_parity(graph, network, counts)
    golden = counts[np.linspace(0, len(counts) - 1, GOLDEN_FRAMES).astype(np.int64)]
    content = PackageContent(
        model=record.network.model.value,
        parameter_count=parameter_count(network),
        window_px=instrument.window_px,
        binning=instrument.binning,
        object_pixel_size_m=instrument.object_pixel_size_m,
        probe=instrument.probe,
        graphs={Precision.FP32: Graph(graph, options.opset)},
        golden=GoldenFrames(golden, {Precision.FP32: _run(graph, golden)}),
        tolerance={Precision.FP32: TOLERANCE},
        training=_training(record),
        versions=_versions(),
        created=creation_time(datetime.fromisoformat(record.created).timestamp()),
        batch_size=options.batch_size,
        calibration=calibration,
    )
    content = finished(content)
    content = replace(content, self_check=_self_check_level(content, scan))
    return Exported(write_package(output, content, force=force, key=options.key), parity)


def _self_check_level(content: PackageContent, scan: Scan) -> SelfCheckLevel | None:
    """How well the package explains the scan, none of whose frames was trained on.

    To four digits, so that the order of a sum is not in the package. None where the scan is too
    small or too dim to be checked.
    """
    try:
        package = pack(content)
    except ValueError as error:
        raise PackageError(f"can't be packed ({error}); export from a checkpoint") from error
    check = infer(scan, package, RunnerOptions(provider=Provider.CPU)).self_check
    if check.r_factor is None or check.r_floor is None:
        return None
    r_factor, r_floor = round(check.r_factor, 4), round(check.r_floor, 4)
    return SelfCheckLevel(r_factor, r_floor, check.frames) if r_floor < r_factor else None


def held_out_counts(scan: Scan, instrument: Instrument) -> tuple[NDArray[np.float32], Calibration]:
    """Graph input of the scan's calibration strip, (n, 1, H, W) float32, and its fingerprint.

    Raises:
        CheckpointError: if the scan's window is not the instrument's.
        ScanError: if the scan is too small to be split.
    """
    full_px = instrument.window_px * instrument.binning
    if scan.full_window_px != full_px:
        raise CheckpointError(
            f"{scan.path}: has a window of {scan.full_window_px} px, the checkpoint is for "
            f"{full_px} px; name a scan of the same instrument"
        )
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    frames = split_by_region(positions, instrument.window_px).frames(Region.CALIBRATION)
    measured = np.asarray(scan.frames[frames])
    counts = network_counts(
        measured.astype(np.float32), scan.mask, instrument.binning // scan.binning
    )
    digest = hashlib.sha256(np.ascontiguousarray(counts).tobytes()).hexdigest()
    return counts, Calibration(
        split=f"{Region.CALIBRATION.value} strip",
        frames=len(counts),
        sha256=digest,
        source=CalibrationSource.MEASURED,
    )


def _run(
    graph: bytes, counts: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    amplitude, phase_rad = session.run(["amplitude", "phase"], {"counts": counts})
    if not (np.isfinite(amplitude).all() and np.isfinite(phase_rad).all()):
        raise ExportError("the graph gives no numbers for the golden frames; train again")
    return amplitude, phase_rad


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
    """Nested settings under dotted names; what is no plain value, an infinite one say, as text."""
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
    """Of simulated frames, which is where the flux is known."""
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
