"""What each network costs, whatever its weights: parameters, multiply-adds, file, latency."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.interleaved_latency import (
    median_latency_ms,
    one_round,
    one_thread_run,
    plausible_counts,
)
from benchmarks.study.plan import Study
from benchmarks.study.results import NetworkCost, Results
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.registry import CountsNetwork, NetworkSpec, build, parameter_count
from wnet_edge.physics.instrument import Instrument

COMMAND = "python -m benchmarks.study networks"

BATCH_SIZES = (1, 8)
_WARM_UP = 3


def measure_networks(study: Study, instrument: Instrument, results: Results) -> None:
    """Measure every network of the study, all in turn; nothing if none has changed since."""
    window_px = instrument.window_px
    networks = {
        cost_key(run.spec): build(run.spec, seed=0, probe=instrument.probe, window_px=window_px)
        for run in study.runs
    }
    sizes = {
        k: (parameter_count(n), multiply_adds(n.eval(), window_px)) for k, n in networks.items()
    }
    known = results.networks()
    if sizes == {key: (known[key].parameters, known[key].multiply_adds) for key in known}:
        return
    graphs = {key: export_fp32(network, window_px) for key, network in networks.items()}
    runs = {key: one_thread_run(graph) for key, graph in graphs.items()}
    latency_ms: dict[str, dict[str, float]] = {key: {} for key in networks}
    for batch in BATCH_SIZES:
        counts = plausible_counts(batch, window_px)
        rounds = [one_round(runs, counts) for _ in range(_WARM_UP + study.latency_rounds)]
        for key, median in median_latency_ms(rounds[_WARM_UP:]).items():
            latency_ms[key][str(batch)] = round(median, 3)
    costs = {
        key: NetworkCost(*sizes[key], onnx_bytes=len(graph), latency_ms=latency_ms[key])
        for key, graph in graphs.items()
    }
    results.write_networks(costs, COMMAND)


def cost_key(spec: NetworkSpec) -> str:
    """Name of a network's costs."""
    return f"{spec.model.value}-{spec.input.value}"


def multiply_adds(network: CountsNetwork, window_px: int) -> int:
    """Of convolutions, linear layers and matrix products for one frame, back-projection included.

    Half of the operations that PyTorch counts: it takes a multiplication and an addition as two.
    """
    frame = torch.full((1, 1, window_px, window_px), 100.0)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(frame)
    return int(counter.get_total_flops()) // 2
