"""Report of each layer's contribution to an INT8 graph: accuracy loss, bytes and time saved.

Accuracy and bytes are those of the layer alone in INT8; the time is that of the chosen graph
compared with the same graph with that layer switched between INT8 and float.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from wnet_edge.export.graph import INPUT
from wnet_edge.export.int8.quantise import quantised
from wnet_edge.export.int8.search import FoundInt8, LayerCost, Problem
from wnet_edge.export.run_graph import session_on_processor
from wnet_edge.package.manifest import Setting

_FRAMES = 4
_ROUNDS = 9


@dataclass(frozen=True)
class LayerShare(LayerCost):
    """One layer's cost, and its state in the chosen graph.

    Attributes:
        in_float: whether the chosen graph leaves it in float.
        saved_ms_per_frame: time saved by INT8 in the chosen graph, on this processor with one
            thread; negative if INT8 is slower. Not reproducible.
    """

    in_float: bool
    saved_ms_per_frame: float


def layer_shares(
    problem: Problem,
    found: FoundInt8,
    counts: NDArray[np.float32],
    quantisation: Mapping[str, Setting],
) -> tuple[LayerShare, ...]:
    """Contributions of all layers, largest accuracy loss first.

    Args:
        problem: problem of the search.
        found: chosen graph.
        counts: (N, 1, H, W) float32, frames for the timing.
        quantisation: quantisation settings of the graph in the manifest.
    """

    def session(graph: bytes) -> InferenceSession:
        return session_on_processor(graph, quantisation)

    chosen, frames, shares = session(found.content), counts[:_FRAMES], []
    for cost in found.costs:
        kept = found.scheme.kept ^ {cost.layer.name}
        other = quantised(problem.graph, found.ranges, replace(found.scheme, kept=kept))
        in_float = cost.layer.name in found.scheme.kept
        sign = -1 if in_float else 1
        shares.append(
            LayerShare(
                layer=cost.layer,
                phase_rms_rad=cost.phase_rms_rad,
                saved_bytes=cost.saved_bytes,
                in_float=in_float,
                saved_ms_per_frame=sign * _slower_ms(session(other), chosen, frames),
            )
        )
    return tuple(shares)


def _slower_ms(
    one: InferenceSession, other: InferenceSession, counts: NDArray[np.float32]
) -> float:
    """Additional ms per frame of `one` compared with `other`, timed in interleaved rounds."""
    differences = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        one.run(None, {INPUT: counts})
        between = time.perf_counter()
        other.run(None, {INPUT: counts})
        differences.append((between - started) - (time.perf_counter() - between))
    return 1e3 * median(differences) / len(counts)
