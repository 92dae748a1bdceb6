"""Gate: the INT8 graph for processors of the embedded W3 runs in integers, and what it takes."""

import pytest

from benchmarks.gates import hold
from benchmarks.test_latency import PRECISIONS_BATCH, latency_ms
from wnet_edge.embedded import find_package
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.measuring.node_profile import convolutions_run, profile_graph

pytestmark = pytest.mark.slow

WHOLE = Precision.INT8_U8S8


@pytest.fixture(scope="module")
def package():
    return open_package(find_package("w3"))


def test_convolutions_run_in_integers(package):
    one_thread = RunSettings(WHOLE, Provider.CPU, threads=1, batch_size=PRECISIONS_BATCH)
    nodes = profile_graph(package, one_thread, PRECISIONS_BATCH, runs=1)
    found = convolutions_run(nodes)
    print(f"\n{found.in_integers} of {found.all} convolutions in integers")  # noqa: T201
    hold("w3_convolutions_in_integers", found.in_integers)


def test_time_over_fp32(benchmark, package):
    runs = {
        kind.value: OpenGraph(package, RunSettings(kind, Provider.CPU, threads=1)).run
        for kind in (Precision.FP32, WHOLE)
    }
    ms = benchmark.pedantic(latency_ms, (runs, PRECISIONS_BATCH), rounds=1)
    ratio = ms[WHOLE.value] / ms["fp32"]
    benchmark.extra_info["int8_u8s8_over_fp32"] = ratio
    print(f"\nW3 int8-u8s8 / fp32 = {ratio:.3f}")  # noqa: T201
    hold("w3_int8_u8s8_over_fp32", ratio)
