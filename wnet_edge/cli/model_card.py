"""Model card of a package, as Markdown: what it is for, how it was made, how good it is.

The sections of Mitchell et al. (Model Cards for Model Reporting, FAT* 2019, section 4) that apply,
from the manifest alone.
"""

from collections.abc import Iterator

import numpy as np

from wnet_edge.framing.training_domain import HARMLESS_DIMNESS, LEAST_SIMILARITY
from wnet_edge.package.manifest import (
    Adaptation,
    CalibrationSource,
    FrameFit,
    Manifest,
    Precision,
)
from wnet_edge.package.opening import Package
from wnet_edge.physics.gauge import probe_intensity

_MEASURES = (
    ("single_phase_ssim", "phase SSIM, single frames"),
    ("stitched_phase_ssim", "phase SSIM, stitched"),
    ("stitched_phase_correlation", "phase correlation, stitched"),
)


def model_card(package: Package) -> str:
    """The card of a package, Markdown with a final newline."""
    manifest = package.manifest
    parts = [
        f"# {package.name}: {manifest.model} for one instrument",
        "",
        f"SHA-256 `{package.sha256}`, {manifest.parameter_count} parameters, made "
        f"{manifest.created} by wnet-edge {manifest.versions.get('wnet-edge', '(unknown)')}.",
        "",
        "## What it is for",
        "",
        *_use(package),
        "",
        "## What it must not be used for",
        "",
        *_misuse(manifest),
        "",
        "## How it was made",
        "",
        *_making(manifest),
        "",
        "## How good it is",
        "",
        *_accuracy(manifest),
    ]
    return "\n".join(parts) + "\n"


def _use(package: Package) -> Iterator[str]:
    manifest, probe = package.manifest, package.probe
    power = np.sum(np.abs(probe).astype(np.float64) ** 2, axis=(1, 2))
    shares = ", ".join(f"{100 * share:.0f} %" for share in power / power.sum())
    inside = package.instrument.intensity.sum(dtype=np.float64) / probe_intensity(probe).sum(
        dtype=np.float64
    )
    binned = f", binned {manifest.binning} × {manifest.binning}" if manifest.binning > 1 else ""
    yield (
        "Amplitude and phase of the object from single far-field diffraction frames, stitched to "
        "an image while the scan runs, for scans of this instrument:"
    )
    yield ""
    yield f"- frames of {manifest.frame_px} × {manifest.frame_px} detector pixels{binned}"
    yield f"- object pixel {1e9 * manifest.object_pixel_size_m:.4g} nm"
    yield f"- orientation of the frames: {manifest.orientation.value}"
    yield (
        f"- probe of {len(probe)} mode{'s' if len(probe) > 1 else ''} ({shares}), "
        f"{100 * inside:.0f} % of its power in what the network sees"
    )
    counts = manifest.training.counts
    if counts is not None:
        yield f"- {counts.low:.2g} to {counts.high:.2g} counts per frame without a sample"


def _misuse(manifest: Manifest) -> Iterator[str]:
    yield "- Near-field scans, and scans with another object pixel: `infer` refuses them."
    yield (
        f"- Probes that are less than {100 * LEAST_SIMILARITY:.0f} % like its own (other optics, "
        "energy or focus): `infer` warns if the scan holds a probe. `wnet-edge adapt SCAN` makes a "
        "package for them."
    )
    counts = manifest.training.counts
    if counts is not None:
        yield f"- Frames of fewer than {counts.low / HARMLESS_DIMNESS:.2g} counts: `infer` warns."
    yield "- Frames that do not overlap: their phases can't be joined to one image."
    yield (
        "- An image that `infer` does not call trusted: it does not explain its own frames, "
        "whatever it looks like."
    )


def _making(manifest: Manifest) -> Iterator[str]:
    training = manifest.training
    yield (
        f"- Trained by {training.recipe}: {training.epochs} epochs of {training.frames} frames, "
        f"seed {training.seed}."
    )
    calibration = manifest.calibration
    if calibration is not None:
        kind = {
            CalibrationSource.MEASURED: "measured",
            CalibrationSource.SIMULATED: "simulated",
            CalibrationSource.RANDOM: "random",
        }[calibration.source]
        yield (
            f"- INT8 ranges and golden frames: {calibration.frames} {kind} frames, "
            f"{calibration.split}; none of them was trained on."
        )
    if manifest.adaptation is not None:
        yield from _adapting(manifest.adaptation)


def _adapting(adaptation: Adaptation) -> Iterator[str]:
    yield (
        f"- For the scan `{adaptation.scan}`, {adaptation.frames} frames of "
        f"{adaptation.median_counts:.3g} counts; none of them was trained on."
    )
    yield f"- Probe: {adaptation.probe_from}."
    yield from (f"- {line[:1].upper()}{line[1:]}." for line in adaptation.choices)


def _accuracy(manifest: Manifest) -> Iterator[str]:
    adaptation = manifest.adaptation
    if adaptation is not None:
        reason = "" if adaptation.reason is None else f": {adaptation.reason}"
        yield f"**{adaptation.grade.value}**{reason}"
        yield ""
    fits: list[tuple[str, FrameFit | None, float | None]] = [
        ("scan that calibrated it", manifest.self_check, None)
    ]
    if adaptation is not None:
        fits = [
            (adaptation.scan, adaptation.image, adaptation.phase_correlation),
            (
                f"{adaptation.scan}, {adaptation.passes} refinement passes",
                adaptation.refined,
                adaptation.refined_phase_correlation,
            ),
        ]
    yield "| image of | R-factor | blank object | noise | explained | contrast | correlation |"
    yield "|---|---|---|---|---|---|---|"
    yield from (_fit_row(*fit) for fit in fits)
    yield ""
    yield f"| precision | bytes | {' | '.join(name for _, name in _MEASURES)} |"
    yield f"|---|---|{'---|' * len(_MEASURES)}"
    yield from (_precision_row(manifest, kind) for kind in manifest.kinds())


def _fit_row(name: str, fit: FrameFit | None, correlation: float | None) -> str:
    if fit is None:
        return f"| {name} | – | – | – | – | – | – |"
    told = "–" if correlation is None else f"{correlation:.3f}"
    return (
        f"| {name} | {fit.r_factor:.3f} | {fit.r_blank:.3f} | {fit.r_floor:.3f} | "
        f"{100 * fit.explained:.0f} % | {fit.contrast:.2f} | {told} |"
    )


def _precision_row(manifest: Manifest, kind: Precision) -> str:
    entry = manifest.precisions[kind]
    measures = {} if entry.retention is None else entry.retention.measures
    told = [f"{measures[name]:.4f}" if name in measures else "–" for name, _ in _MEASURES]
    return f"| {kind.value} | {entry.member.size_bytes} | {' | '.join(told)} |"
