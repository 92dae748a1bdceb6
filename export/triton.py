"""Export of a package to a model repository of NVIDIA's Triton Inference Server.

For a beamline that serves many scans from one machine: FOLDER/NAME-PRECISION/1/model.onnx is the
graph of the package, and config.pbtxt beside it declares its input and outputs.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from wnet_edge.errors import PackageError
from wnet_edge.host.outputs import check_folders, placing_folders
from wnet_edge.package.manifest import Manifest, Precision
from wnet_edge.package.opening import Package

MAX_BATCH_SIZE = 64
"""Largest batch that Triton forms; bounds the GPU memory that a graph needs."""

QUEUE_DELAY_US = 1000
"""Longest time that a frame waits for a batch: about its run time on one CPU core."""

_KINDS: Mapping[Precision, str] = {
    Precision.INT8_U8U8: "KIND_CPU",
    Precision.INT8_U8S8: "KIND_CPU",
}
"""CPU layouts; all other precisions run on GPUs if there are any, else on the CPU."""


def check_repository(
    name: str, precisions: tuple[Precision, ...], folder: Path, *, force: bool
) -> None:
    """Check that `write_repository` can write, before any work is spent on a package.

    Raises:
        PackageError: as `write_repository`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise PackageError(
            f"{name}: Triton serves models by name in a URL; name the package with letters, "
            "digits, . _ and - only"
        )
    check_folders(
        folder, [model_name(name, kind) for kind in precisions], PackageError, force=force
    )


def write_repository(package: Package, folder: Path, *, force: bool) -> list[Path]:
    """Add all graphs of a package to the model repository `folder`, all or none.

    Returns:
        Folders of the models.

    Raises:
        PackageError: if the package's name is no valid model name, a model of that name exists and
            `force` is False, or the folder can't be written.
    """
    manifest = package.manifest
    check_repository(package.name, manifest.kinds(), folder, force=force)
    names = {kind: model_name(package.name, kind) for kind in manifest.kinds()}
    with placing_folders(folder, list(names.values()), PackageError, force=force) as temporary:
        for kind, name in names.items():
            version = temporary / name / "1"
            version.mkdir(parents=True)
            (version / "model.onnx").write_bytes(package.graphs[kind])
            (temporary / name / "config.pbtxt").write_text(config(name, kind, manifest), "utf-8")
    return [folder / name for name in names.values()]


def model_name(package_name: str, precision: Precision) -> str:
    """Name under which Triton serves a graph."""
    return f"{package_name}-{precision.value}"


def config(name: str, precision: Precision, manifest: Manifest) -> str:
    """Content of config.pbtxt: Triton's ModelConfig (model_config.proto) in protobuf text format.

    A graph of fixed batch size is served without Triton's batching, which needs a dynamic first
    dimension.
    """
    window, fixed = manifest.window_px, manifest.batch_size
    shape = [1, window, window] if fixed is None else [fixed, 1, window, window]
    lines = [
        f'name: "{name}"',
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {MAX_BATCH_SIZE if fixed is None else 0}",
        *_tensor("input", "counts", shape),
        *_tensor("output", "amplitude", shape),
        *_tensor("output", "phase", shape),
        f"instance_group {{ count: 1 kind: {_KINDS.get(precision, 'KIND_AUTO')} }}",
    ]
    if fixed is None:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_US} }}")
    return "\n".join(lines) + "\n"


def _tensor(field: str, name: str, shape: list[int]) -> list[str]:
    return [
        f"{field} {{",
        f'  name: "{name}"',
        "  data_type: TYPE_FP32",
        f"  dims: {shape}",
        "}",
    ]
