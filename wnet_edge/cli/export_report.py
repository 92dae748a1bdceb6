"""What `wnet-edge export` tells of a package that it has made: on the terminal, and to a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path

from wnet_edge.cli.options import finite
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.errors import ExportError
from wnet_edge.export.export_package import Exported
from wnet_edge.export.int8.search import OverBudgetError
from wnet_edge.export.precisions import Made
from wnet_edge.host.outputs import replacing
from wnet_edge.judging.yardstick import Judge
from wnet_edge.package.manifest import GraphEntry, Precision


def print_report(exported: Exported) -> None:
    """Lines for people."""
    manifest, path = exported.package.manifest, exported.package.path
    print_warnings(exported)
    against = {
        Judge.REFERENCE: "the reference",
        Judge.FP32: "fp32's own patches, as there is no reference",
    }[exported.judge]
    print_line(f"accuracy on the scan's report strip, against {against}:")
    for precision in manifest.kinds():
        entry = manifest.precisions[precision]
        print_line(_line(precision, entry, exported.made[precision]))
    fit = manifest.self_check
    if fit is not None:
        print_line(
            f"its image of the whole scan explains {100 * fit.explained:.0f} % of the misfit of a "
            f"blank object (R-factor {fit.r_factor:.3f}, blank {fit.r_blank:.3f}, contrast "
            f"{fit.contrast:.2f})"
        )
    print_line(
        f"{path}: {manifest.model}, {manifest.parameter_count} parameters, "
        f"{path.stat().st_size} bytes; within "
        f"{exported.parity.amplitude:.1g} and {exported.parity.phase_rad:.1g} rad of PyTorch"
    )


def print_warnings(exported: Exported) -> None:
    """To stderr."""
    for warning in exported.warnings:
        print_note(f"Warning: {warning}")


def write_report(exported: Exported, path: Path, *, force: bool) -> None:
    """All that was tried and what every layer costs, as JSON.

    Raises:
        ExportError: if the file can't be written.
    """
    values = {
        "package": exported.package.path.name,
        "package_sha256": exported.package.sha256,
        "judge": exported.judge.value,
        "precisions": {
            precision.value: _values(exported.package.manifest.precisions[precision], made)
            for precision, made in exported.made.items()
        },
        "left_out": {
            precision.value: _refused(error) for precision, error in exported.left_out.items()
        },
    }
    _write(values, path, force=force)


def write_refusal(error: OverBudgetError, path: Path, *, force: bool) -> None:
    """What was tried for a precision that did not keep to the budget, as JSON.

    Raises:
        ExportError: if the file can't be written.
    """
    values = {
        "refused": str(error),
        "precisions": {error.precision.value: _refused(error)},
    }
    _write(values, path, force=force)


def _refused(error: OverBudgetError) -> dict[str, object]:
    return {"reason": error.reason, "trials": [asdict(trial) for trial in error.trials]}


def _write(values: Mapping[str, object], path: Path, *, force: bool) -> None:
    text = json.dumps(_plain(values), indent=2, allow_nan=False)
    with replacing(path, ExportError, force=force) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def _plain(value: object) -> object:
    """Only what JSON has: a number that is none becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return finite(value) if isinstance(value, float) else value


def _line(precision: Precision, entry: GraphEntry, made: Made) -> str:
    measures = entry.retention.measures if entry.retention is not None else {}
    told = [
        f"{precision.value}: {entry.member.size_bytes} bytes",
        f"phase SSIM {_told(measures, 'single_phase_ssim')} single-shot, "
        f"{_told(measures, 'stitched_phase_ssim')} stitched",
    ]
    if made.loss is not None:
        psnr = "" if made.loss.psnr_db is None else f", PSNR {-made.loss.psnr_db:+.3f} dB"
        told.append(f"at worst SSIM {-made.loss.ssim:+.4f}{psnr}")
    if made.found is not None:
        kept = len(made.found.scheme.kept)
        told.append(f"{made.found.ranges.method.value} ranges, {kept} layers in float")
    if made.half is not None:
        told.append(f"{len(made.half.kept)} operators in fp32")
    return "; ".join(told)


def _told(measures: Mapping[str, float], name: str) -> str:
    return f"{measures[name]:.4f}" if name in measures else "–"


def _values(entry: GraphEntry, made: Made) -> dict[str, object]:
    values: dict[str, object] = {
        "bytes": entry.member.size_bytes,
        "measures": entry.retention.measures if entry.retention is not None else None,
        "processor": entry.retention.processor if entry.retention is not None else None,
    }
    if made.half is not None:
        values["kept_in_fp32"] = [asdict(kept) for kept in made.half.kept]
    if made.found is not None:
        found = made.found
        values["layers_in_float"] = sorted(found.scheme.kept)
        values["trials"] = [asdict(trial) for trial in found.trials]
        values["layers"] = [asdict(layer) for layer in made.layers]
    return values
