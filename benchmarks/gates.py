"""The thresholds of gates.toml, and the one way to hold a measured value to one."""

import json
from pathlib import Path

import tomllib

FOLDER = Path(__file__).parent
GATES = tomllib.loads((FOLDER / "gates.toml").read_text("utf-8"))
BASELINE = FOLDER / "baseline.json"
"""What `make bench` wrote on the machine and commit that it names; `make baseline` renews it."""


class GateError(AssertionError):
    """A measured value is beyond its threshold."""


def hold(gate: str, value: float) -> None:
    """See that `value` is within the threshold of `gate`.

    Raises:
        GateError: if it is not, or is NaN.
    """
    threshold = GATES[gate]
    ceiling, floor = threshold.get("ceiling", float("inf")), threshold.get("floor", float("-inf"))
    if not floor <= value <= ceiling:
        allowed = f"at most {ceiling:g}" if "ceiling" in threshold else f"at least {floor:g}"
        raise GateError(f"{gate} is {value:.4g}, {allowed} is allowed: {threshold['reason']}")


def baseline(test: str, key: str) -> float:
    """What a test of an earlier run has written down as `extra_info`."""
    for one in json.loads(BASELINE.read_text("utf-8"))["benchmarks"]:
        if one["name"] == test:
            return float(one["extra_info"][key])
    raise GateError(f"{BASELINE.name} has no {test}: make baseline")
