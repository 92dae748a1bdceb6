"""What `wnet-edge export` tells of a package that it has made: on the terminal, and to a file."""

from collections.abc import Mapping

from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.export.export_package import Exported
from wnet_edge.export.precisions import Made
from wnet_edge.judging.yardstick import Judge
from wnet_edge.package.manifest import CalibrationSource, GraphEntry, Precision


def print_report(exported: Exported) -> None:
    """Lines for people."""
    manifest, path = exported.package.manifest, exported.package.path
    print_warnings(exported)
    against = {
        Judge.REFERENCE: "the reference",
        Judge.FP32: "fp32's own patches, as there is no reference",
    }[exported.judge]
    source = CalibrationSource.MEASURED
    if manifest.calibration is not None:
        source = manifest.calibration.source
    kind = "" if source is CalibrationSource.MEASURED else f"{source.value} "
    print_line(f"accuracy on the {kind}scan's report strip, against {against}:")
    for precision in manifest.kinds():
        entry = manifest.precisions[precision]
        print_line(_line(precision, entry, exported.made[precision]))
    fit = manifest.self_check
    if fit is not None:
        print_line(
            f"its image of the whole {kind}scan explains {100 * fit.explained:.0f} % of the misfit "
            f"of a blank object (R-factor {fit.r_factor:.3f}, blank {fit.r_blank:.3f}, contrast "
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
