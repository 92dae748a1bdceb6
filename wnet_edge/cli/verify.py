"""`wnet-edge verify`: a package's hashes, and its golden frames on this machine."""

from dataclasses import replace
from pathlib import Path

import click

from wnet_edge.cli.options import (
    every_precision_option,
    finite,
    json_option,
    print_json,
    provider_option,
    runner_options_from,
    signature_values,
    threads_option,
    trust_option,
)
from wnet_edge.cli.terminal import print_line
from wnet_edge.embedded import opened_package
from wnet_edge.errors import PackageError
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.measuring.golden_check import GoldenCheck, check_golden, ways_to_run


@click.command()
@click.argument("package", metavar="FILE.wnet|NAME")
@trust_option
@every_precision_option
@provider_option
@threads_option
@json_option
def command(
    package: str,
    trust: Path | None,
    precision: str,
    provider: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check a package's integrity, and its results on this machine.

    Every precision runs the package's golden frames on every available provider, unless one is
    named, and is compared with the outputs stored at export. Exit code 1 if they differ for a
    precision that was named, or for the one that infer would use.
    """
    opened = opened_package(package, trust)
    options = runner_options_from(precision, provider, threads, 1)
    if not as_json:
        print_line(f"{opened.path}: intact, SHA-256 {opened.sha256}, {_signed(opened, trust)}")
    checks = []
    for one in ways_to_run(opened, options):
        checks.append(check_golden(opened, one))
        if not as_json:
            print_line(_line(checks[-1]))
    default = open_best_graph(opened, replace(options, batch_size=None))
    passed = all(
        check.passed
        for check in checks
        if options.precision is not None
        or (check.precision, check.provider) == (default.precision, default.provider)
    )
    if as_json:
        print_json(
            {
                "path": str(opened.path),
                "sha256": opened.sha256,
                "signature": signature_values(opened, trust),
                "passed": passed,
                "golden_frames": opened.manifest.golden.frames,
                "checks": [_values(check) for check in checks],
            }
        )
    if not passed:
        failed = [f"{c.precision.value} on {c.provider.value}" for c in checks if not c.passed]
        raise PackageError(
            f"{opened.path}: {', '.join(failed)} does not reproduce the golden patches here; use "
            "another --precision or --provider, or update onnxruntime"
        )


def _signed(package: Package, trust: Path | None) -> str:
    if trust is not None:
        return f"signed by the key in {trust}"
    if package.signature is None:
        return "not signed"
    return f"claims to be signed by {package.signature.public_key} (--trust checks it)"


def _line(check: GoldenCheck) -> str:
    verdict = "passed" if check.passed else "refused"
    found, allowed = check.deviation, check.tolerance
    return (
        f"{check.precision.value} on {check.provider.value} {verdict}: amplitude off by "
        f"{found.amplitude:.2g} (allowed {allowed.amplitude:.2g}), phase by "
        f"{found.phase_rad:.2g} rad (allowed {allowed.phase_rad:.2g}), phase RMS by "
        f"{found.phase_rms_rad:.2g} rad (allowed {allowed.phase_rms_rad:.2g})"
    )


def _values(check: GoldenCheck) -> dict[str, object]:
    return {
        "precision": check.precision.value,
        "passed": check.passed,
        "provider": check.provider.value,
        "reason": check.reason,
        "amplitude": finite(check.deviation.amplitude),
        "phase_rad": finite(check.deviation.phase_rad),
        "phase_rms_rad": finite(check.deviation.phase_rms_rad),
        "tolerance_amplitude": check.tolerance.amplitude,
        "tolerance_phase_rad": check.tolerance.phase_rad,
        "tolerance_phase_rms_rad": check.tolerance.phase_rms_rad,
    }
