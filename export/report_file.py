"""JSON file of an export: every precision tried, its accuracy and cost, per layer if measured."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path

from wnet_edge.errors import ExportError
from wnet_edge.export.export_package import Exported
from wnet_edge.export.int8.search import OverBudgetError
from wnet_edge.export.precisions import Made
from wnet_edge.export.refused_precision import PrecisionError
from wnet_edge.host.outputs import replacing
from wnet_edge.package.manifest import GraphEntry


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


def write_refusal(error: PrecisionError, path: Path, *, force: bool) -> None:
    """What was tried for a precision that can't be in the package, as JSON.

    Raises:
        ExportError: if the file can't be written.
    """
    values = {
        "refused": str(error),
        "precisions": {error.precision.value: _refused(error)},
    }
    _write(values, path, force=force)


def _refused(error: PrecisionError) -> dict[str, object]:
    trials = error.trials if isinstance(error, OverBudgetError) else ()
    return {"reason": error.reason, "trials": [asdict(trial) for trial in trials]}


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
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
