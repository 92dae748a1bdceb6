"""Value ranges of a graph's tensors on calibration frames, which INT8 has to cover.

Second step of quantisation: frames → **ranges** → quantised graph. The calibrators are ONNX
Runtime's. Ranges can be cached in a file, with the hashes of the graph and the frames they belong
to.
"""

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator

from wnet_edge.calibration.frames import frames_sha256
from wnet_edge.errors import CalibrationError
from wnet_edge.host.outputs import replacing

BATCH_SIZE = 8
"""Frames per calibration step; the moving average runs over steps."""

_MAX_CACHE_BYTES = 64 << 20

_MOST = 1e30
"""Limit on values in a graph: far beyond any real value, and its quantisation step is finite in
FP32."""


class RangeMethod(str, Enum):
    """Calibration method: how a range is derived from the observed values.

    MINMAX covers all values; MOVING_AVERAGE the mean of each step's extremes; the percentiles
    exclude the outermost 0.01 and 0.1 %; ENTROPY minimises the Kullback-Leibler divergence.
    """

    MINMAX = "minmax"
    MOVING_AVERAGE = "moving-average"
    PERCENTILE_99_99 = "percentile-99.99"
    PERCENTILE_99_9 = "percentile-99.9"
    ENTROPY = "entropy"


_CALIBRATORS: dict[RangeMethod, tuple[CalibrationMethod, dict[str, Any]]] = {
    RangeMethod.MINMAX: (CalibrationMethod.MinMax, {}),
    RangeMethod.MOVING_AVERAGE: (CalibrationMethod.MinMax, {"moving_average": True}),
    RangeMethod.PERCENTILE_99_99: (CalibrationMethod.Percentile, {"percentile": 99.99}),
    RangeMethod.PERCENTILE_99_9: (CalibrationMethod.Percentile, {"percentile": 99.9}),
    # With ONNX Runtime's default number of bins, that of the quantised values, nothing is clipped.
    RangeMethod.ENTROPY: (CalibrationMethod.Entropy, {"num_bins": 256}),
}

DEFAULT_METHODS = tuple(method for method in RangeMethod if method is not RangeMethod.ENTROPY)
"""Default methods. Entropy takes longer than all others together, and was never the closest to FP32
for any of the networks that ship with wnet-edge."""


@dataclass(frozen=True)
class Ranges:
    """Value ranges of all tensors by one method.

    Attributes:
        method: calibration method.
        bounds: lowest and highest value by name of the tensor.
    """

    method: RangeMethod
    bounds: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class RangeCache:
    """Contents of a file of ranges, of one graph on one set of frames.

    Attributes:
        graph_sha256: hash of the FP32 graph.
        frames_sha256: hash of the calibration counts.
        runtime: version of ONNX Runtime, whose calibrators were used.
        ranges: bounds by name of the method and of the tensor.
    """

    graph_sha256: str
    frames_sha256: str
    runtime: str
    ranges: dict[str, dict[str, tuple[float, float]]]


class NoHistogramError(CalibrationError):
    """A calibrator finds no bins for the values of a tensor."""


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, counts: NDArray[np.float32]) -> None:
        self._left = iter(
            counts[start : start + BATCH_SIZE] for start in range(0, len(counts), BATCH_SIZE)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Input of the next step, None at the end."""
        batch = next(self._left, None)
        return None if batch is None else {"counts": batch}


def find_ranges(graph: bytes, counts: NDArray[np.float32], method: RangeMethod) -> Ranges:
    """Find the ranges of all float tensors of a graph on calibration frames.

    Args:
        graph: FP32 ONNX bytes with input `counts`.
        counts: (N, 1, H, W) float32; N a multiple of `BATCH_SIZE`, or less than one.
        method: calibration method.

    Raises:
        NoHistogramError: if a tensor's values differ by less than floats of their size resolve.
        CalibrationError: if values in the graph are not finite.
    """
    kind, options = _CALIBRATORS[method]
    with tempfile.TemporaryDirectory() as folder, _no_prints():
        path = Path(folder) / "graph.onnx"
        path.write_bytes(graph)
        calibrator = create_calibrator(
            path,
            None,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=kind,
            extra_options=options,
        )
        try:
            calibrator.collect_data(_Batches(counts))
        except ValueError as error:
            raise NoHistogramError(
                f"the calibrator {method.value} finds no bins for the values in the graph "
                f"({error}); take {RangeMethod.MINMAX.value} (--calibrator)"
            ) from error
        found = calibrator.compute_data()
    bounds = {
        name: (float(np.min(data.lowest)), float(np.max(data.highest)))
        for name, data in found.items()
    }
    if not all(np.isfinite(bound).all() for bound in bounds.values()):
        raise CalibrationError("the graph gives values that are not numbers; train it again")
    return Ranges(method, bounds)


def ranges_of(
    graph: bytes,
    counts: NDArray[np.float32],
    methods: tuple[RangeMethod, ...],
    cache: Path | None = None,
) -> list[Ranges]:
    """Ranges by each method, read from the file `cache` if present there, else found and added.

    A method that finds no bins for some tensor is left out, unless it is the only one.

    Raises:
        NoHistogramError: if no method finds any.
        CalibrationError: if the file is damaged, or of another graph or other frames.
    """
    keys = (
        hashlib.sha256(graph).hexdigest(),
        frames_sha256(counts),
        onnxruntime.__version__,
    )
    known = RangeCache(*keys, {})
    if cache is not None and cache.exists():
        known = read_ranges(cache)
        if (known.graph_sha256, known.frames_sha256, known.runtime) != keys:
            raise CalibrationError(
                f"{cache}: holds ranges of another graph or of other frames, or found with another "
                "onnxruntime; name another file"
            )
    ranges = dict(known.ranges)
    without_bins: list[NoHistogramError] = []
    for method in methods:
        if method.value not in ranges:
            try:
                ranges[method.value] = find_ranges(graph, counts, method).bounds
            except NoHistogramError as error:
                without_bins.append(error)
    if len(without_bins) == len(methods):
        raise without_bins[0]
    if cache is not None and ranges != known.ranges:
        text = json.dumps(asdict(RangeCache(*keys, ranges)), sort_keys=True)
        with replacing(cache, CalibrationError, force=True) as temporary:
            temporary.write_text(text, encoding="ascii")
    return [Ranges(method, ranges[method.value]) for method in methods if method.value in ranges]


def read_ranges(path: Path) -> RangeCache:
    """Read a file of ranges written by `ranges_of`.

    Raises:
        CalibrationError: if it is missing or damaged.
    """
    try:
        if path.stat().st_size > _MAX_CACHE_BYTES:
            raise ValueError("too large")
        plain = json.loads(path.read_bytes())
        ranges = {
            RangeMethod(method).value: {
                str(name): (float(low), float(high)) for name, (low, high) in bounds.items()
            }
            for method, bounds in plain["ranges"].items()
        }
        bounds = [bound for found in ranges.values() for bound in found.values()]
        if not all(-_MOST <= low <= high <= _MOST for low, high in bounds):
            raise ValueError("a range is not a range")
        return RangeCache(
            graph_sha256=str(plain["graph_sha256"]),
            frames_sha256=str(plain["frames_sha256"]),
            runtime=str(plain["runtime"]),
            ranges=ranges,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CalibrationError(
            f"{path}: holds no calibration ranges ({error}); name a file that wnet-edge wrote, or "
            "a new one"
        ) from error


@contextlib.contextmanager
def _no_prints() -> Iterator[None]:
    """Context that discards what the calibrators print."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
