"""Gates: W3's time over PtychoNN's, and FP16's and INT8's over FP32's, timed in turn in one run.

The embedded packages' own graphs, on the processor, one thread.
"""

import pytest

from benchmarks.gates import hold
from benchmarks.interleaved_latency import median_latency_ms, one_round, plausible_counts
from wnet_edge.embedded import find_package
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings

ROUNDS = 30
WARM_UP = 5
PRECISIONS_BATCH = 8


def one_thread_graph(name, precision=Precision.FP32):
    """As `infer` runs it."""
    package = open_package(find_package(name))
    return OpenGraph(package, RunSettings(precision, Provider.CPU, threads=1))


@pytest.fixture(scope="module")
def networks():
    return {name: one_thread_graph(name).run for name in ("w3", "ptychonn")}


@pytest.fixture(scope="module")
def precisions():
    kinds = (Precision.FP32, Precision.FP16, Precision.INT8)
    return {kind.value: one_thread_graph("w3", kind).run for kind in kinds}


def latency_ms(runs, batch, rounds=ROUNDS):
    """Median milliseconds a frame of each of `runs`."""
    counts = plausible_counts(batch, 64)
    times = [one_round(runs, counts) for _ in range(WARM_UP + rounds)]
    return median_latency_ms(times[WARM_UP:])


def ratio_of_networks(runs, batch, rounds=ROUNDS):
    """W3's time over PtychoNN's; and both."""
    ms = latency_ms(runs, batch, rounds)
    return ms["w3"] / ms["ptychonn"], ms


@pytest.mark.parametrize("batch", [1, 8])
def test_w3_takes_a_fraction_of_the_time_of_ptychonn(benchmark, networks, batch):
    ratio, ms = benchmark.pedantic(ratio_of_networks, (networks, batch), rounds=1)
    benchmark.extra_info |= {f"{name}_ms_per_frame": value for name, value in ms.items()}
    benchmark.extra_info["w3_over_ptychonn"] = ratio
    print(f"\nbatch {batch}: W3 / PtychoNN = {ratio:.3f} ({ms})")  # noqa: T201
    hold(f"w3_over_ptychonn_batch_{batch}", ratio)


def test_small_precisions_of_w3_against_fp32(benchmark, precisions):
    ms = benchmark.pedantic(latency_ms, (precisions, PRECISIONS_BATCH), rounds=1)
    for kind in ("fp16", "int8"):
        ratio = ms[kind] / ms["fp32"]
        benchmark.extra_info[f"{kind}_over_fp32"] = ratio
        print(f"\nW3 {kind} / fp32 = {ratio:.3f}")  # noqa: T201
        hold(f"w3_{kind}_over_fp32", ratio)
