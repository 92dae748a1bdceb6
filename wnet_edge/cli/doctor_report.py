"""What `wnet-edge doctor` prints, for people and for programs."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum

from wnet_edge.cli.options import finite
from wnet_edge.package.manifest import FrameFit, Precision
from wnet_edge.runner.doctor.checkup import CheckUp, PrecisionCheck, ProviderCheck
from wnet_edge.runner.doctor.installation import EXTRAS
from wnet_edge.runner.doctor.wheels import overwriting
from wnet_edge.runner.graph.providers import CURES, WHEELS
from wnet_edge.runner.image.verdict import Cause, explains

_WIDTH = 100
_NAME_WIDTH = 13


class Mark(str, Enum):
    """How a thing is: there, not there and not needed, or wrong."""

    OK = "ok"
    MISSING = "missing"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Line:
    """One line of the listing."""

    mark: Mark
    name: str
    text: str

    def __str__(self) -> str:
        head = f"  {self.mark.value:<8} {self.name:<{_NAME_WIDTH}} "
        return textwrap.fill(
            self.text,
            _WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )


def as_lines(checkup: CheckUp) -> Iterator[str]:
    """The listing, with what to do at its end."""
    sections = {
        "Installed": _installed(checkup),
        "This machine": _machine(checkup),
        f"Providers, tested with the golden frames of {checkup.package.path.name}": _providers(
            checkup
        ),
        "Automatic choice of infer": _choice(checkup),
        "Self-check of images": [_level(checkup.package.manifest.self_check)],
        "Extras": _extras(),
    }
    for title, lines in sections.items():
        yield f"{title}:"
        for line in lines:
            yield from str(line).split("\n")
    yield ""
    if not checkup.to_do:
        yield "Nothing to do."
        return
    yield "What to do:"
    for number, cure in enumerate(checkup.to_do, start=1):
        yield from textwrap.wrap(
            cure,
            _WIDTH,
            initial_indent=f"  {number}. ",
            subsequent_indent="     ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def as_values(checkup: CheckUp) -> dict[str, object]:
    """For `--json`."""
    run_settings = checkup.auto.run_settings
    record = checkup.tune.record
    level = checkup.package.manifest.self_check
    return {
        "passed": checkup.fault is None,
        "to_do": list(checkup.to_do),
        "versions": checkup.versions,
        "device": asdict(checkup.device) | {"key": checkup.device.key},
        "int8_instructions": checkup.vnni,
        "quota_cores": checkup.quota_cores,
        "nvidia_card": checkup.nvidia_card,
        "wheels": [
            asdict(wheel)
            | {"folder": str(wheel.folder), "overwritten": wheel in overwriting(checkup.wheels)}
            for wheel in checkup.wheels
        ],
        "package": {
            "path": str(checkup.package.path),
            "sha256": checkup.package.sha256,
            "explained": level and level.explained,
            "trustworthy": level is not None and explains(level),
        },
        "providers": [_provider_values(check) for check in checkup.providers],
        "auto": {
            "works": checkup.auto.fault is None,
            "precision": run_settings and run_settings.precision.value,
            "provider": run_settings and run_settings.provider.value,
            "threads": run_settings and run_settings.threads,
            "batch_size": run_settings and run_settings.batch_size,
            "reason": checkup.auto.reason,
            "fault": checkup.auto.fault,
        },
        "tune": {
            "measured": record is not None,
            "ms_per_frame": record.timed[0].ms_per_frame if record and record.timed else None,
            "fault": checkup.tune.fault,
        },
        "cache": asdict(checkup.cache) | {"folder": str(checkup.cache.folder)},
        "extras": [
            {
                "extra": extra.name,
                "missing": list(extra.missing),
                "needed_for": extra.needed_for,
                "cure": _extra_cure(extra.name),
            }
            for extra in EXTRAS
        ],
    }


def _installed(checkup: CheckUp) -> Iterator[Line]:
    for name, version in checkup.versions.items():
        if name != "onnxruntime":
            yield Line(Mark.OK, name, version)
            continue
        wheels = " and ".join(map(str, checkup.wheels)) or "no wheel known to pip"
        mark = Mark.OK if checkup.wheel_fault is None else Mark.PROBLEM
        yield Line(mark, name, f"{version}, of {wheels}")


def _machine(checkup: CheckUp) -> Iterator[Line]:
    device = checkup.device
    yield Line(Mark.OK, "system", device.system)
    yield Line(Mark.OK, "processor", device.processor)
    if checkup.quota_fault is not None:
        quota = f"{device.cores}, of which {checkup.quota_cores:g} may be used"
        yield Line(Mark.PROBLEM, "cores", quota)
    else:
        yield Line(Mark.OK, "cores", str(device.cores))
    yield Line(*_int8(checkup.vnni))
    if device.gpu is not None:
        yield Line(Mark.OK, "GPU", device.gpu)
    elif checkup.nvidia_card:
        yield Line(Mark.PROBLEM, "GPU", "NVIDIA, without a driver")
    else:
        yield Line(Mark.MISSING, "GPU", "no NVIDIA GPU or driver found")


def _int8(vnni: bool | None) -> tuple[Mark, str, str]:
    if vnni is None:
        return Mark.OK, "int8", "not reported by this system; the golden frames show it"
    if vnni:
        return Mark.OK, "int8", "VNNI: products do not saturate; tune tells whether it is faster"
    return (
        Mark.MISSING,
        "int8",
        "no VNNI: int8 uses slower instructions that do not saturate",
    )


def _providers(checkup: CheckUp) -> Iterator[Line]:
    for check in checkup.providers:
        name = check.provider.value
        if not check.offered:
            continue
        if check.fault is not None:
            cure = CURES.get(check.provider)
            yield Line(Mark.MISSING, name, f"{check.fault}; {cure}" if cure else check.fault)
            continue
        wrong = any(one.fault is not None for one in check.precisions)
        text = ", ".join(_verdict(one) for one in check.precisions)
        yield Line(Mark.PROBLEM if wrong else Mark.OK, name, text)
    others = [check.provider for check in checkup.providers if not check.offered]
    told = [f"{kind.value} ({WHEELS[kind]})" if kind in WHEELS else kind.value for kind in others]
    yield Line(Mark.MISSING, "other wheels", ", ".join(told))


def _verdict(check: PrecisionCheck) -> str:
    return f"{check.precision.value} {'correct' if check.fault is None else 'wrong'}"


def _choice(checkup: CheckUp) -> Iterator[Line]:
    auto, tune, cache = checkup.auto, checkup.tune, checkup.cache
    mark = Mark.OK if auto.fault is None else Mark.PROBLEM
    run_settings = (
        "nothing"
        if auto.run_settings is None
        else _told(auto.run_settings.precision, auto.run_settings.provider.value)
    )
    yield Line(mark, "auto", f"{run_settings} ({auto.reason})")
    if tune.fault is not None:
        yield Line(Mark.PROBLEM, "tune", "its record can't be used")
    elif tune.record is None:
        yield Line(Mark.MISSING, "tune", "not measured here: wnet-edge tune finds the fastest")
    else:
        yield Line(Mark.OK, "tune", "measured here")
    size, free = cache.size_bytes / 1e6, cache.free_bytes / 1e9
    text = f"{cache.folder}, {size:.1f} MB, {free:.1f} GB free on its disk"
    yield Line(Mark.OK if cache.fault is None else Mark.PROBLEM, "cache", text)


def _level(level: FrameFit | None) -> Line:
    """What the package's network explains of a scan of its own instrument."""
    if level is None:
        return Line(Mark.PROBLEM, "trust", f"{Cause.NO_LEVEL.value}")
    text = (
        f"on a scan from its own instrument the package explains {100 * level.explained:.0f} % of "
        f"the misfit of a blank object (R-factor {level.r_factor:.3f}, blank {level.r_blank:.3f}), "
        f"contrast {level.contrast:.2f}"
    )
    if explains(level):
        return Line(Mark.OK, "trust", text)
    return Line(Mark.PROBLEM, "trust", f"{text}: {Cause.UNTRAINED.value}")


def _told(precision: Precision, provider: str) -> str:
    return f"{precision.value} on {provider}"


def _extras() -> Iterator[Line]:
    for extra in EXTRAS:
        missing = extra.missing
        text = f"for {extra.needed_for}"
        if missing:
            text = f"{', '.join(missing)} {text}: {_extra_cure(extra.name)}"
        yield Line(Mark.MISSING if missing else Mark.OK, extra.name, text)


def _extra_cure(name: str) -> str:
    return f"pip install 'wnet-edge[{name}]'"


def _provider_values(check: ProviderCheck) -> dict[str, object]:
    cure = CURES.get(check.provider) if check.offered and check.fault is not None else None
    return {
        "provider": check.provider.value,
        "offered": check.offered,
        "works": check.works,
        "fault": check.fault,
        "cure": cure,
        "precisions": [
            {
                "precision": one.precision.value,
                "works": one.fault is None,
                "phase_rms_rad": one.deviation and finite(one.deviation.phase_rms_rad),
                "fault": one.fault,
            }
            for one in check.precisions
        ],
    }
