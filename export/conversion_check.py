"""Check of a converted graph: ONNX Runtime's kernels against the graph as ONNX defines it.

Run after every conversion to FP16 and INT8, with the runner's settings, at several batch sizes, on
measured frames and on extreme ones: empty, saturated, a hot pixel, one photon.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from wnet_edge.export.half.half_rounding import extreme_frames
from wnet_edge.export.parity import PARITY_BATCH_SIZES, varied
from wnet_edge.export.refused_precision import PrecisionError
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.package.golden import Deviation, PatchArrays
from wnet_edge.package.manifest import Precision, Setting, Tolerance

LARGEST_RMS_RAD = 0.03
"""Largest RMS phase deviation of ONNX Runtime's kernels from the graph's definition: 0.02 for the
worst of the embedded INT8 graphs, 0.033 to 0.5 where products saturate."""

_SLACK = 1.5
"""Factor on the deviation measured here that is permitted on other processors."""

_SMALLEST = Tolerance(amplitude=0.05, phase_rad=0.3, phase_rms_rad=0.02)


def assert_conversion(
    precision: Precision,
    graph: bytes,
    exact: Callable[[NDArray[np.float32]], PatchArrays],
    counts: NDArray[np.float32],
    quantisation: Mapping[str, Setting] | None,
) -> Tolerance:
    """Check a converted graph; returns the tolerance for its golden outputs on other machines.

    Args:
        precision: precision of the graph, for messages.
        graph: ONNX bytes.
        exact: computes the patches exactly as the graph defines them, for counts (N, 1, H, W).
        counts: (N, 1, H, W) float32, measured frames.
        quantisation: quantisation settings of the graph in the manifest.

    Raises:
        PrecisionError: if ONNX Runtime's outputs deviate too much here.
        ExportError: if they are not finite.
    """
    worst = Deviation(0.0, 0.0, 0.0)
    for size in PARITY_BATCH_SIZES:
        found = _deviation(graph, exact, varied(counts, size), quantisation)
        worst = worst.or_worse(found)
    patches_on_processor(graph, extreme_frames(counts.shape[-1]), quantisation)
    worst = worst.or_worse(_deviation(graph, exact, counts, quantisation))
    # Written so that NaN fails.
    if not worst.phase_rms_rad <= LARGEST_RMS_RAD:
        raise PrecisionError(
            f"this processor computes the {precision.value} graph wrongly: phases are "
            f"{worst.phase_rms_rad:.2g} rad from what the graph says",
            "update onnxruntime",
            precision,
        )
    return Tolerance(
        amplitude=_rounded(max(2 * worst.amplitude, _SMALLEST.amplitude)),
        phase_rad=min(_rounded(max(2 * worst.phase_rad, _SMALLEST.phase_rad)), 3.14),
        phase_rms_rad=_rounded(max(_SLACK * worst.phase_rms_rad, _SMALLEST.phase_rms_rad)),
    )


def _deviation(
    graph: bytes,
    exact: Callable[[NDArray[np.float32]], PatchArrays],
    counts: NDArray[np.float32],
    quantisation: Mapping[str, Setting] | None,
) -> Deviation:
    # The phase of empty frames is undefined.
    lit = np.maximum(counts, 0).sum(axis=(1, 2, 3)) > 1
    here = patches_on_processor(graph, counts, quantisation)
    said = exact(counts)
    kept = lit if lit.any() else np.ones_like(lit)
    return Deviation.between((here[0][kept], here[1][kept]), (said[0][kept], said[1][kept]))


def _rounded(value: float) -> float:
    """Round to two digits, so that the package does not depend on the order of summation."""
    return float(f"{value:.2g}")
