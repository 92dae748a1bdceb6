"""What values the layers of a graph take on calibration frames: the ranges that INT8 covers.

Second step of quantisation: frames → **ranges** → quantised graph. The calibrators are ONNX
Runtime's own. Ranges can be kept in a file and used again: they belong to one graph and one set of
frames, whose hashes stand beside them.
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
"""Frames a step; the moving average runs over steps."""

_MAX_CACHE_BYTES = 64 << 20

_MOST = 1e30
"""Of a value in a graph: far beyond what any has, and its step is a number in FP32."""


class RangeMethod(str, Enum):
    """How a range is made of what was seen.

    MINMAX covers all of it; MOVING_AVERAGE the mean of each step's extremes; the percentiles leave
    out the outermost 0.01 and 0.1 %; ENTROPY loses the least information (Kullback and Leibler).
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
    # With ONNX Runtime's own number of bins, that of the quantised values, it cuts nothing off.
    RangeMethod.ENTROPY: (CalibrationMethod.Entropy, {"num_bins": 256}),
}

DEFAULT_METHODS = tuple(method for method in RangeMethod if method is not RangeMethod.ENTROPY)
"""Tried unless others are named. Entropy takes longer than all others together, and was never the
nearest to FP32 for any network of the zoo."""


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of every tensor, by one method.

    Attributes:
        method: how they were found.
        bounds: by the tensor's name in the graph.
    """

    method: RangeMethod
    bounds: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class RangeCache:
    """Ranges of one graph on one set of frames.

    Attributes:
        graph_sha256: of the FP32 graph.
        frames_sha256: of the counts it saw.
        runtime: version of ONNX Runtime, whose calibrators found them.
        ranges: by method's name, by tensor.
    """

    graph_sha256: str
    frames_sha256: str
    runtime: str
    ranges: dict[str, dict[str, tuple[float, float]]]


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, counts: NDArray[np.float32]) -> None:
        self._left = iter(
            counts[start : start + BATCH_SIZE] for start in range(0, len(counts), BATCH_SIZE)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next step's input, None at the end."""
        batch = next(self._left, None)
        return None if batch is None else {"counts": batch}


def find_ranges(graph: bytes, counts: NDArray[np.float32], method: RangeMethod) -> Ranges:
    """Ranges of all of a graph's float tensors.

    Args:
        graph: ONNX, FP32, input `counts`.
        counts: (N, 1, H, W) float32; N a multiple of `BATCH_SIZE`, or less than one.
        method: of the range.

    Raises:
        CalibrationError: if the graph gives values that are no numbers.
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
        calibrator.collect_data(_Batches(counts))
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
    """Ranges by each method, from the file `cache` where it holds them; it is written where not.

    Raises:
        CalibrationError: if the file is damaged, or is of another graph or other frames.
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
    for method in methods:
        if method.value not in ranges:
            ranges[method.value] = find_ranges(graph, counts, method).bounds
    if cache is not None and ranges != known.ranges:
        text = json.dumps(asdict(RangeCache(*keys, ranges)), sort_keys=True)
        with replacing(cache, CalibrationError, force=True) as temporary:
            temporary.write_text(text, encoding="ascii")
    return [Ranges(method, ranges[method.value]) for method in methods]


def read_ranges(path: Path) -> RangeCache:
    """Ranges as `ranges_of` keeps them in a file.

    Raises:
        CalibrationError: if it holds none.
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
    """The calibrators print what they do."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
