"""`wnet-edge verify`: a package's hashes, and its golden frames on this machine."""

import math
from dataclasses import replace
from pathlib import Path

import click

from wnet_edge.cli.options import (
    json_option,
    opened_package,
    print_json,
    provider_option,
    runner_options_from,
    signature_values,
    threads_option,
    trust_option,
)
from wnet_edge.errors import PackageError
from wnet_edge.package import Package
from wnet_edge.runner.golden import GoldenCheck, check_golden


@click.command()
@click.argument("package", metavar="FILE.wnet|NAME")
@trust_option
@provider_option
@threads_option
@json_option
def command(package: str, trust: Path | None, provider: str, threads: int, as_json: bool) -> None:
    """Check a package's every byte, and that this machine computes what its maker saw."""
    opened = opened_package(package, trust)
    options = runner_options_from("auto", provider, threads, 1)
    if not as_json:
        click.echo(f"{opened.path}: intact, SHA-256 {opened.sha256}, {_signed(opened, trust)}")
    checks = []
    for precision in opened.graphs:
        check = check_golden(opened, replace(options, precision=precision))
        checks.append(check)
        if not as_json:
            click.echo(_line(check))
    failed = [check.precision.value for check in checks if not check.passed]
    if as_json:
        print_json(
            {
                "path": str(opened.path),
                "sha256": opened.sha256,
                "signature": signature_values(opened, trust),
                "passed": not failed,
                "golden_frames": opened.manifest.golden.frames,
                "checks": {check.precision.value: _values(check) for check in checks},
            }
        )
    if failed:
        raise PackageError(
            f"{opened.path}: {', '.join(failed)} gives other patches here than when it was "
            "exported; use another --precision or --provider, or update onnxruntime"
        )


def _signed(package: Package, trust: Path | None) -> str:
    if trust is not None:
        return f"signed by the key in {trust}"
    if package.signature is None:
        return "not signed"
    return f"claims to be signed by {package.signature.public_key} (--trust checks it)"


def _line(check: GoldenCheck) -> str:
    verdict = "passed" if check.passed else "failed"
    return (
        f"{check.precision.value} on {check.provider.value} {verdict}: amplitude off by "
        f"{check.amplitude:.2g} (allowed {check.tolerance.amplitude:.2g}), phase by "
        f"{check.phase_rad:.2g} rad (allowed {check.tolerance.phase_rad:.2g}), on the whole by "
        f"{check.phase_rms_rad:.2g} rad (allowed {check.tolerance.phase_rms_rad:.2g})"
    )


def _values(check: GoldenCheck) -> dict[str, object]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None  # JSON has no NaN

    return {
        "passed": check.passed,
        "provider": check.provider.value,
        "reason": check.reason,
        "amplitude": number(check.amplitude),
        "phase_rad": number(check.phase_rad),
        "phase_rms_rad": number(check.phase_rms_rad),
        "tolerance_amplitude": check.tolerance.amplitude,
        "tolerance_phase_rad": check.tolerance.phase_rad,
        "tolerance_phase_rms_rad": check.tolerance.phase_rms_rad,
    }
