"""Provenance of an image, as stored in its result file."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import onnxruntime

from wnet_edge.io.images.result_file import Provenance
from wnet_edge.package.manifest import FrameFit
from wnet_edge.package.opening import Package
from wnet_edge.runner.image.infer import Inference
from wnet_edge.runner.image.verdict import Verdict

_TRUST = {Verdict.TRUSTED: "yes", Verdict.NOT_TRUSTED: "no", Verdict.UNKNOWN: "unknown"}


def process_record(
    scan: Path,
    command_line: str,
    package: Package,
    inference: Inference,
    choices: Mapping[str, str],
) -> Provenance:
    """Provenance of one image: package, precision, provider, versions, command line, timing."""
    from importlib.metadata import version  # takes as long to load as to write the result

    versions = {name: version(name) for name in ("wnet-edge", "numpy", "h5py")}
    check, refinement = inference.self_check, inference.refinement
    return Provenance(
        package_name=package.name,
        package_sha256=package.sha256,
        precision=inference.precision.value,
        provider=inference.provider.value,
        command_line=as_utf8(command_line),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source=as_utf8(scan.name),
        amplitude_scale=inference.amplitude_scale.value,
        trusted=_TRUST[check.verdict],
        frames_received=inference.frames_received,
        frames_processed=inference.frames_processed,
        frames_lost=inference.frames_lost,
        # From the module, since the wheel is named onnxruntime or onnxruntime-gpu.
        versions=versions | {"onnxruntime": onnxruntime.__version__},
        scan=choices,
        refinement={} if refinement is None else refinement.values,
        self_check={} if check.fit is None else fit_values(check.fit),
        timing_s={
            step.removesuffix("_s"): seconds for step, seconds in asdict(inference.timing).items()
        },
        warnings=inference.warnings,
    )


def fit_values(fit: FrameFit) -> dict[str, float]:
    """Figures behind a verdict, by their names in results and `--json`."""
    return {
        "r_factor": fit.r_factor,
        "r_floor": fit.r_floor,
        "r_blank": fit.r_blank,
        "explained": fit.explained,
        "contrast": fit.contrast,
        "frames": float(fit.frames),
    }


def as_utf8(text: str) -> str:
    """Valid UTF-8 text: undecodable bytes of a file name become backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
