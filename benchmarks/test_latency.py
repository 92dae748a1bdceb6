"""Gate: W3's time over PtychoNN's, both timed in turn in one run.

Weights do not change the time, so both networks are drawn from a seed.
"""

from pathlib import Path

import pytest

from benchmarks.interleaved_latency import (
    median_latency_ms,
    one_round,
    one_thread_session,
    plausible_counts,
)
from wnet_edge.export.graph import export_fp32
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec, build

EXAMPLE = Path(__file__).parents[1] / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
WINDOW_PX = 64
ROUNDS = 30
WARM_UP = 5
NETWORKS = {
    "w3": NetworkSpec(ModelName.W3, NetworkInput.BACK_PROJECTED),
    "ptychonn": NetworkSpec(ModelName.PTYCHONN),
}

LATENCY_RATIO_CEILING = {1: 0.18, 8: 0.12}
"""W3 / PtychoNN by batch, FP32, CPU provider, one thread. The aim is 0.10 at batch 8; measured
0.087 to 0.093 there with AVX2 and 0.101 to 0.108 with AVX-512, which serves PtychoNN's dense
convolutions more; at batch 1 0.13 to 0.14, and 0.145 to 0.160. The paper has 0.738 in PyTorch on a
GPU."""


@pytest.fixture(scope="module")
def sessions():
    probe = open_scan(EXAMPLE).probe
    return {
        name: one_thread_session(
            export_fp32(build(spec, seed=0, probe=probe, window_px=WINDOW_PX), WINDOW_PX)
        )
        for name, spec in NETWORKS.items()
    }


@pytest.mark.parametrize("batch", LATENCY_RATIO_CEILING)
def test_w3_takes_a_fraction_of_the_time_of_ptychonn(benchmark, sessions, batch):
    counts = plausible_counts(batch, WINDOW_PX)
    rounds = []
    benchmark.pedantic(
        lambda: rounds.append(one_round(sessions, counts)), rounds=ROUNDS, warmup_rounds=WARM_UP
    )
    latency_ms = median_latency_ms(rounds[WARM_UP:])
    ratio = latency_ms["w3"] / latency_ms["ptychonn"]
    benchmark.extra_info |= {f"{name}_ms_a_frame": ms for name, ms in latency_ms.items()}
    benchmark.extra_info["w3_over_ptychonn"] = ratio
    print(f"\nbatch {batch}: W3 / PtychoNN = {ratio:.3f} ({latency_ms})")  # noqa: T201
    assert ratio < LATENCY_RATIO_CEILING[batch]
