"""Gate: W3's INT8 graph for processors runs in integers, keeps its accuracy, and what it takes."""

import pytest

from benchmarks.gates import hold
from benchmarks.test_latency import PRECISIONS_BATCH, latency_ms
from benchmarks.test_retention import excess
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.export.export_package import export_package
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.scan_file import open_scan
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.measuring.node_profile import convolutions_run, profile_graph

# A network is exported; on a busy machine that takes long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

WHOLE = Precision.INT8_U8S8


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    scan = open_scan(EXAMPLE_SCAN)
    material = Material(scan, read_placed_image(EXAMPLE_REFERENCE, scan))
    options = ExportOptions(precisions=(Precision.FP32, WHOLE))
    path = tmp_path_factory.mktemp("w3") / "w3.wnet"
    return export_package(zoo_checkpoint("w3"), material, path, options, force=False)


def test_convolutions_run_in_integers(exported):
    one_thread = RunSettings(WHOLE, Provider.CPU, threads=1, batch_size=PRECISIONS_BATCH)
    nodes = profile_graph(exported.package, one_thread, PRECISIONS_BATCH, runs=1)
    found = convolutions_run(nodes)
    print(f"\n{found.in_integers} of {found.all} convolutions in integers")  # noqa: T201
    hold("w3_convolutions_in_integers", found.in_integers)


def test_its_accuracy_is_kept(exported):
    entries = exported.package.manifest.precisions
    measures = {kind: entry.retention.measures for kind, entry in entries.items()}
    lost = exported.made[WHOLE].loss
    over = excess(measures[Precision.FP32], measures[WHOLE], lost, "w3", Precision.INT8)
    assert not over


def test_time_over_fp32(benchmark, exported):
    runs = {
        kind.value: OpenGraph(exported.package, RunSettings(kind, Provider.CPU, threads=1)).run
        for kind in (Precision.FP32, WHOLE)
    }
    ms = benchmark.pedantic(latency_ms, (runs, PRECISIONS_BATCH), rounds=1)
    ratio = ms[WHOLE.value] / ms["fp32"]
    benchmark.extra_info["int8_u8s8_over_fp32"] = ratio
    print(f"\nW3 int8-u8s8 / fp32 = {ratio:.3f}")  # noqa: T201
    hold("w3_int8_u8s8_over_fp32", ratio)
