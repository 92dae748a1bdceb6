"""What a result file says of how its image came to be."""

from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from wnet_edge.io.result import Process
from wnet_edge.package import Package
from wnet_edge.runner.infer import Inference
from wnet_edge.runner.window import FramedScan

_TRUST = {True: "yes", False: "no", None: "unknown"}


def process_record(
    scan: Path, command_line: str, package: Package, inference: Inference, framed: FramedScan
) -> Process:
    """The record of one image."""
    versions = {name: version(name) for name in ("wnet-edge", "numpy", "h5py")}
    check = inference.self_check
    compared = {"r_factor": check.r_factor, "r_floor": check.r_floor, "frames": float(check.frames)}
    return Process(
        package_name=package.name,
        package_sha256=package.sha256,
        precision=inference.precision.value,
        provider=inference.provider.value,
        command_line=as_utf8(command_line),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source=as_utf8(scan.name),
        amplitude_scale=inference.amplitude_scale.value,
        trusted=_TRUST[check.trusted],
        frames_received=inference.frames_received,
        frames_processed=inference.frames_processed,
        frames_lost=inference.frames_lost,
        # The wheel is named onnxruntime or onnxruntime-gpu; the module knows its version.
        versions=versions | {"onnxruntime": onnxruntime.__version__},
        scan=framed.choices,
        self_check={name: value for name, value in compared.items() if value is not None},
        timing_s={
            step.removesuffix("_s"): seconds for step, seconds in asdict(inference.timing).items()
        },
        warnings=inference.warnings,
    )


def as_utf8(text: str) -> str:
    """Text that any file takes: bytes of a file's name that are no UTF-8 as backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
