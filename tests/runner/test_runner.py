"""Graph sessions: providers had or refused, precisions chosen, the contract kept."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tiny import content, graph_with_weights_in, onnx_bytes, several_precisions, simple_graph

from wnet_edge.embedded import find_package
from wnet_edge.errors import PackageError, ProviderError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import Graph, write_package
from wnet_edge.runner.choosing.choice import open_best_graph, opening_fault
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.measuring.golden_check import check_golden

CPU = RunnerOptions(provider=Provider.CPU)


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "tiny.wnet", content())


def with_graph(tmp_path, graph):
    return write_package(tmp_path / "other.wnet", content(graph))


def with_precisions(tmp_path, *kinds):
    return write_package(tmp_path / "several.wnet", several_precisions(*kinds))


def test_runs_the_graph(package):
    session = open_best_graph(package, RunnerOptions(provider=Provider.CPU, threads=1))
    counts = np.linspace(-1, 3, 5 * 64, dtype=np.float32).reshape(5, 1, 8, 8)
    amplitude, phase = session.graph.run(counts)
    np.testing.assert_allclose(amplitude, np.maximum(counts, 0))
    np.testing.assert_allclose(phase, np.tanh(counts), rtol=1e-5)
    assert amplitude.dtype == phase.dtype == np.float32
    assert (session.provider, session.precision) == (Provider.CPU, Precision.FP32)
    assert session.reason == "cpu as asked; fp32 is exact"


def test_same_counts_same_bytes(package):
    counts = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    first = open_best_graph(package, CPU).graph.run(counts)
    second = open_best_graph(package, CPU).graph.run(counts)
    assert [part.tobytes() for part in first] == [part.tobytes() for part in second]


@pytest.mark.parametrize("frames", [1, 2, 8, 33])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_that_share_a_batch_give_the_bytes_of_one(frames, threads):
    counts = np.random.default_rng(1).poisson(100, (frames, 1, 64, 64)).astype(np.float32)
    package = open_package(find_package("w3"))
    one, some = (
        open_best_graph(package, RunnerOptions(Precision.FP32, Provider.CPU, count)).graph
        for count in (1, threads)
    )
    for expected, found in zip(one.run(counts), some.run(counts), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_threads_share_whole_batches_of_a_fixed_size(tmp_path):
    package = write_package(
        tmp_path / "fixed.wnet", content(simple_graph(8, batch=4), batch_size=4)
    )
    options = RunnerOptions(provider=Provider.CPU, threads=2, batch_size=10)
    graph = open_best_graph(package, options).graph
    counts = np.random.default_rng(2).random((10, 1, 8, 8), dtype=np.float32)
    amplitude, phase = graph.run(counts)
    assert graph.batch_size == 12
    np.testing.assert_array_equal(amplitude, counts)
    np.testing.assert_allclose(phase, np.tanh(counts), rtol=1e-5)


@pytest.mark.parametrize("card", [True, False])
def test_auto_says_why_it_falls_back_where_there_is_a_card(package, capfd, nvidia, card):
    nvidia(card=card, driver=False)
    fault = "no NVIDIA driver here: libcuda.so.1 can't be loaded"
    session = open_best_graph(package, RunnerOptions())
    assert session.provider is Provider.CPU
    if card:
        assert session.reason == f"cpu because cuda can't be had ({fault}); fp32 is exact"
        assert session.warnings == (f"cuda can't be had ({fault}): wnet-edge doctor says more",)
    else:
        assert (session.reason, session.warnings) == ("cpu; fp32 is exact", ())
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_cuda_without_a_driver_is_refused(package, nvidia):
    nvidia(card=False, driver=False)
    with pytest.raises(
        ProviderError,
        match=r"cuda can't be had \(.+\); install .* --provider cpu \(wnet-edge doctor",
    ):
        open_best_graph(package, RunnerOptions(provider=Provider.CUDA))


@pytest.mark.gpu
def test_cuda_gives_the_golden_outputs(package):
    if opening_fault(package, Provider.CUDA) is not None:
        pytest.skip("this machine has no CUDA")
    check = check_golden(package, RunnerOptions(provider=Provider.CUDA))
    assert check.provider is Provider.CUDA
    assert check.passed


def test_onnxruntime_without_cuda(package, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    fault = opening_fault(package, Provider.CUDA)
    assert fault.endswith("pip install onnxruntime-gpu in place of the one that is installed")
    assert open_best_graph(package, RunnerOptions()).reason == "cpu; fp32 is exact"


def test_precision_is_chosen(tmp_path):
    three = with_precisions(tmp_path, *Precision)
    chosen = open_best_graph(three, RunnerOptions(Precision.INT8, Provider.CPU))
    assert (chosen.precision, chosen.reason) == (Precision.INT8, "cpu as asked; int8 as asked")
    assert open_best_graph(three, CPU).precision is Precision.FP32
    one = with_precisions(tmp_path / "..", Precision.INT8)
    assert open_best_graph(one, CPU).reason == "cpu as asked; int8 is what the package holds"
    with pytest.raises(PackageError, match="holds no fp16 graph; choose from int8"):
        open_best_graph(one, RunnerOptions(Precision.FP16, Provider.CPU))


@pytest.mark.parametrize("fixed", [1, 4, 16])
def test_a_fixed_batch_takes_any_number_of_frames(tmp_path, package, fixed):
    source = content(simple_graph(8, batch=fixed), batch_size=fixed)
    whole = write_package(tmp_path / "fixed.wnet", source)
    session = open_best_graph(whole, RunnerOptions(provider=Provider.CPU, batch_size=10))
    assert session.graph.batch_size == {1: 10, 4: 12, 16: 16}[fixed]
    free = open_best_graph(package, CPU)
    for count in (1, 4, 5, 17):
        counts = np.random.default_rng(count).normal(size=(count, 1, 8, 8)).astype(np.float32)
        for got, expected in zip(session.graph.run(counts), free.graph.run(counts), strict=True):
            assert got.shape == counts.shape
            np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert check_golden(whole, CPU).passed


@pytest.mark.parametrize(("declared", "graph"), [(4, "batch"), (4, 8), (None, 4)])
def test_the_batch_is_what_the_manifest_says(tmp_path, declared, graph):
    source = content(simple_graph(8, batch=graph), batch_size=declared)
    with pytest.raises(
        PackageError,
        match=rf"counts of the shape \(.*, not float32 \({declared or 'batch'}, 1, 8, 8\)",
    ):
        write_package(tmp_path / "other.wnet", source)


def passes(*names):
    return [helper.make_node("Relu", [source], [target]) for source, target in names]


BOTH = passes(("counts", "amplitude"), ("counts", "phase"))


@pytest.mark.parametrize(
    ("graph", "match"),
    [
        (onnx_bytes(passes(("x", "amplitude"), ("x", "phase")), 8, inputs=("x",)), "other inputs"),
        (
            onnx_bytes(passes(("counts", "a")), 8, outputs=("a",)),
            "other outputs than amplitude and",
        ),
        (onnx_bytes(BOTH, 16), r"counts of the shape \(batch, 1, 16, 16\), not float32"),
        (onnx_bytes(BOTH, 8, batch=1), r"counts of the shape \(1, 1, 8, 8\), not"),
    ],
)
def test_other_contracts_are_refused(tmp_path, graph, match):
    with pytest.raises(PackageError, match=match):
        with_graph(tmp_path, graph)
    assert not list(tmp_path.iterdir())


def test_what_onnx_runtime_can_not_load_is_told_in_one_line(tmp_path, capfd):
    # Shapes fit and types do not: those are for ONNX Runtime to say.
    nodes = [helper.make_node("Cast", ["counts"], ["half"], to=TensorProto.FLOAT16)]
    nodes.append(helper.make_node("Add", ["counts", "half"], ["amplitude"]))
    package = with_graph(tmp_path, onnx_bytes([*nodes, *passes(("counts", "phase"))], 8))
    with pytest.raises(PackageError, match="can't load a graph") as caught:
        open_best_graph(package, CPU)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_failing_provider_is_told_in_one_line(package):
    session = open_best_graph(package, CPU)
    with pytest.raises(ProviderError, match=r"cpu failed on 2 frames .*--batch-size") as caught:
        session.graph.run(np.zeros((2, 1, 9, 9), np.float32))
    assert "\n" not in str(caught.value)


def test_golden_check(tmp_path, package):
    check = check_golden(package, CPU)
    assert check.passed
    assert check.deviation.amplitude == 0
    assert check.deviation.phase_rad < 1e-6
    wrong = with_graph(tmp_path, onnx_bytes(BOTH, 8))
    check = check_golden(wrong, RunnerOptions(provider=Provider.CPU, batch_size=1))
    assert not check.passed
    assert check.deviation.phase_rad > 0.2


def test_golden_phase_wraps(tmp_path):
    source = content()
    amplitude, phase = source.golden.outputs[Precision.FP32]
    turned = GoldenFrames(
        source.golden.counts,
        {Precision.FP32: (amplitude, (phase + 2 * np.pi).astype(np.float32))},
    )
    package = write_package(tmp_path / "t.wnet", dataclasses.replace(source, golden=turned))
    assert check_golden(package, CPU).passed


def test_golden_nan_fails(tmp_path):
    node = helper.make_node("Sqrt", ["counts"], ["phase"])
    graph = onnx_bytes([*passes(("counts", "amplitude")), node], 8)
    source = content()
    negative = GoldenFrames(-1 - source.golden.counts, source.golden.outputs)
    package = write_package(
        tmp_path / "t.wnet",
        content(graph, golden=negative, tolerance={Precision.FP32: Tolerance(1e9, 3.0, 3.0)}),
    )
    assert not check_golden(package, CPU).passed


@pytest.mark.parametrize(
    "bad", [{"threads": -1}, {"threads": 513}, {"batch_size": 0}, {"batch_size": 1025}]
)
def test_options_are_checked(bad):
    with pytest.raises(ValueError, match="not within"):
        RunnerOptions(**bad)


def test_graph_is_a_file_of_its_own(package):
    # What travels is ONNX as it is: any other runtime takes it out of the archive and runs it.
    assert package.graphs[Precision.FP32] == simple_graph(8)
    assert Graph(simple_graph(8), 20).quantisation is None


def test_weights_outside_the_package_are_not_read(tmp_path, package, monkeypatch):
    # Opening refuses such a graph; should one come by another way, ONNX Runtime finds no file.
    (tmp_path / "weights.bin").write_bytes(bytes(256))
    monkeypatch.chdir(tmp_path)
    graph = graph_with_weights_in("weights.bin")
    with pytest.raises(PackageError, match="can't load a graph"):
        open_best_graph(dataclasses.replace(package, graphs={Precision.FP32: graph}), CPU)
