"""Does a converted graph run everywhere it must, and as it says? Asserted after every conversion.

FP16 and INT8 graphs in ONNX Runtime as the runner sets it up, against the same graph computed as
ONNX defines it, at several batch sizes, on measured frames and on such as a detector gives when
something is wrong: empty, saturated, hot, one photon.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ExportError
from wnet_edge.export.half.half_rounding import extreme_frames
from wnet_edge.export.parity import BATCH_SIZES, varied
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.package.golden import Deviation, Patches
from wnet_edge.package.manifest import Precision, Setting, Tolerance

LARGEST_RMS_RAD = 0.03
"""Between a kernel and what the graph says: 0.02 for the worst of the zoo's INT8 graphs, 0.033 to
0.5 where products saturate."""

_SLACK = 1.5
"""Another processor may differ by so much more than this one did."""

_SMALLEST = Tolerance(amplitude=0.05, phase_rad=0.3, phase_rms_rad=0.02)


def assert_conversion(
    precision: Precision,
    graph: bytes,
    exact: Callable[[NDArray[np.float32]], Patches],
    counts: NDArray[np.float32],
    quantisation: Mapping[str, Setting] | None,
) -> Tolerance:
    """How near to the exact outputs another machine has to come.

    Args:
        precision: of the graph, for messages.
        graph: ONNX.
        exact: what the graph says, for counts (N, 1, H, W).
        counts: (N, 1, H, W) float32 measured frames.
        quantisation: its entry in the manifest.

    Raises:
        ExportError: if this processor computes something else, or something that is no number.
    """
    worst = Deviation(0.0, 0.0, 0.0)
    for size in BATCH_SIZES:
        found = _deviation(graph, exact, varied(counts, size), quantisation)
        worst = worst.or_worse(found)
    patches_on_processor(graph, extreme_frames(counts.shape[-1]), quantisation)
    worst = worst.or_worse(_deviation(graph, exact, counts, quantisation))
    # Written so that NaN fails.
    if not worst.phase_rms_rad <= LARGEST_RMS_RAD:
        raise ExportError(
            f"this processor computes the {precision.value} graph wrongly: phases are "
            f"{worst.phase_rms_rad:.2g} rad from what the graph says; leave --precision "
            f"{precision.value} out, or update onnxruntime"
        )
    return Tolerance(
        amplitude=_rounded(max(2 * worst.amplitude, _SMALLEST.amplitude)),
        phase_rad=min(_rounded(max(2 * worst.phase_rad, _SMALLEST.phase_rad)), 3.14),
        phase_rms_rad=_rounded(max(_SLACK * worst.phase_rms_rad, _SMALLEST.phase_rms_rad)),
    )


def _deviation(
    graph: bytes,
    exact: Callable[[NDArray[np.float32]], Patches],
    counts: NDArray[np.float32],
    quantisation: Mapping[str, Setting] | None,
) -> Deviation:
    # Frames without light have no phase to be right about.
    lit = np.maximum(counts, 0).sum(axis=(1, 2, 3)) > 1
    here = patches_on_processor(graph, counts, quantisation)
    said = exact(counts)
    kept = lit if lit.any() else np.ones_like(lit)
    return Deviation.between((here[0][kept], here[1][kept]), (said[0][kept], said[1][kept]))


def _rounded(value: float) -> float:
    """To two digits: the order of a sum is not in the package."""
    return float(f"{value:.2g}")
