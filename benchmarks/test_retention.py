"""Gate: what FP16 and INT8 keep of FP32, for each network of the zoo, on frames none has seen.

`export` refuses what costs more than its budget; here its figures are held to the thresholds in
`gates.toml`, which a review can read. Run from a clone alone.
"""

from dataclasses import replace

import onnx
import pytest

from benchmarks.gates import GATES
from wnet_edge.calibration.ranges import RangeMethod, Ranges, find_ranges
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.export.export_package import export_package
from wnet_edge.export.half.half import to_half
from wnet_edge.export.held_out import held_out, measured
from wnet_edge.export.int8.quantise import Scheme, quantised
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.scan_file import open_scan
from wnet_edge.judging.yardstick import loss
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.session_settings import X64_PRECISION
from wnet_edge.training.checkpoint import load_network

# One network is exported whole in each; on a busy machine that takes long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SMALL = (Precision.FP16, Precision.INT8, Precision.INT8_U8S8)


def excess(fp32, small, lost, model, precision):
    """What is over its threshold, as text; empty if nothing is."""
    allowed = GATES["retention"]["int8" if precision.quantised else precision.value]
    correlation = "stitched_phase_correlation"
    drops = {
        "max_ssim_drop": lost.ssim,
        "max_psnr_drop_db": lost.psnr_db,
        "max_correlation_drop": fp32[correlation] - small[correlation],
    }
    # Written so that NaN is over.
    over = [f"{name}: {drop:.4f}" for name, drop in drops.items() if not drop <= allowed[name]]
    return f"{model} {precision.value}: {', '.join(over)}" if over else ""


@pytest.fixture(scope="module")
def material():
    scan = open_scan(EXAMPLE_SCAN)
    return Material(scan, read_placed_image(EXAMPLE_REFERENCE, scan))


@pytest.mark.parametrize("model", [m.value for m in ModelName])
def test_precisions_keep_their_accuracy(benchmark, material, tmp_path, model):
    arguments = (zoo_checkpoint(model), material, tmp_path / "p.wnet", ExportOptions())
    exported = benchmark.pedantic(export_package, arguments, {"force": False}, rounds=1)
    entries = exported.package.manifest.precisions
    measures = {kind: entry.retention.measures for kind, entry in entries.items()}
    for kind, entry in entries.items():
        made = exported.made[kind]
        told = {"bytes": entry.member.size_bytes, **measures[kind]}
        if made.found is not None:
            told["layers_in_float"] = len(made.found.scheme.kept)
            told["calibrator"] = made.found.ranges.method.value
        benchmark.extra_info[kind.value] = told
        print(f"\n{model} {kind.value}: {told}")  # noqa: T201
    for kind in SMALL:
        over = excess(
            measures[Precision.FP32], measures[kind], exported.made[kind].loss, model, kind
        )
        assert not over


@pytest.fixture(scope="module")
def w3(material, tmp_path_factory):
    """The FP32 graph of W3, its calibration frames and its report strip."""
    checkpoint = zoo_checkpoint("w3")
    only = replace(ExportOptions(), precisions=(Precision.FP32,))
    path = tmp_path_factory.mktemp("w3") / "w3.wnet"
    graph = export_package(checkpoint, material, path, only, force=False).package.graphs
    instrument = load_network(checkpoint)[1].instrument
    split = held_out(material, instrument)
    content = graph[Precision.FP32]
    return content, split.counts, measured(split.report, content)


def judged(graph, report, precision, quantisation=None):
    patches = patches_on_processor(graph, report.yardstick.part.counts, quantisation)
    found = report.yardstick.accuracy(patches)
    lost = loss(report.accuracy, found, report.yardstick.judge)
    return excess(report.accuracy.measures(), found.measures(), lost, "w3", precision)


def test_a_bad_calibration_trips_the_gate(w3):
    graph, counts, report = w3
    good = find_ranges(graph, counts, RangeMethod.MINMAX)
    small = {name: (low / 6, high / 6) for name, (low, high) in good.bounds.items()}
    bad = quantised(graph, Ranges(good.method, small), Scheme(Precision.INT8))
    over = judged(bad, report, Precision.INT8, {X64_PRECISION: True})
    print(f"\nbad calibration: {over}")  # noqa: T201
    assert "max_ssim_drop" in over
    assert "max_correlation_drop" in over


def test_weights_that_half_can_not_hold_trip_the_gate(w3):
    graph, counts, report = w3
    model = onnx.load_from_string(to_half(graph, counts).content)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16 and len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor)
            coarse = (values * 16).round() / 16
            tensor.CopyFrom(onnx.numpy_helper.from_array(coarse.astype(values.dtype), tensor.name))
    over = judged(model.SerializeToString(), report, Precision.FP16)
    print(f"\nspoilt half: {over}")  # noqa: T201
    assert "max_psnr_drop_db" in over
