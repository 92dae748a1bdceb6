"""Gate: W3's time over PtychoNN's, both timed in turn in one run.

Weights do not change the time, so both networks are drawn from a seed.
"""

import time

import numpy as np
import onnxruntime
import pytest

from wnet_edge.export.graph import export_fp32
from wnet_edge.models.registry import ModelName, build

ROUNDS = 30
WARM_UP = 5

LATENCY_RATIO_CEILING = 0.20
"""W3 / PtychoNN, FP32, CPU provider, one thread. The paper has 0.738 in PyTorch on a GPU;
measured here 0.08 to 0.12, the rest is for a noisy machine."""


def one_thread_session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def sessions():
    return {
        model: one_thread_session(export_fp32(build(model, seed=0).eval(), 64))
        for model in (ModelName.W3, ModelName.PTYCHONN)
    }


@pytest.mark.parametrize("batch", [1, 8])
def test_w3_takes_a_fraction_of_the_time_of_ptychonn(benchmark, sessions, batch):
    counts = np.random.default_rng(0).poisson(1000, (batch, 1, 64, 64)).astype(np.float32)
    seconds = {model: [] for model in sessions}

    def in_turn() -> None:
        for model, session in sessions.items():
            start = time.perf_counter()
            session.run(None, {"counts": counts})
            seconds[model].append(time.perf_counter() - start)

    benchmark.pedantic(in_turn, rounds=ROUNDS, warmup_rounds=WARM_UP)
    latency_ms = {m: 1000 * np.median(s[WARM_UP:]) / batch for m, s in seconds.items()}
    ratio = latency_ms[ModelName.W3] / latency_ms[ModelName.PTYCHONN]
    benchmark.extra_info |= {f"{m.value}_ms_a_frame": ms for m, ms in latency_ms.items()}
    benchmark.extra_info["w3_over_ptychonn"] = ratio
    print(f"\nbatch {batch}: W3 / PtychoNN = {ratio:.3f} ({latency_ms})")  # noqa: T201
    assert ratio < LATENCY_RATIO_CEILING
