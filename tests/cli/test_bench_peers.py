"""Other runtimes in `wnet-edge bench --peers`: timed only where they compute the same."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import helper, numpy_helper
from tiny import content, onnx_bytes
from tiny_network import WINDOW_PX, tiny_network

from wnet_edge.cli import bench_peers
from wnet_edge.cli.bench_peers import Peer, peer_run
from wnet_edge.embedded import find_package
from wnet_edge.errors import PeerError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import Graph, write_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings

CPU = RunSettings(Precision.FP32, Provider.CPU, 1, 2)


def processor_has(monkeypatch, *capabilities):
    """OpenVINO, on a processor that it says this of."""
    openvino = SimpleNamespace(processor_capabilities=lambda: capabilities)
    monkeypatch.setattr(bench_peers, "_openvino_peer", lambda: openvino)


def test_bfloat16_is_left_out_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(bench_peers, "find_spec", lambda name: name)
    processor_has(monkeypatch, "FP32", "INT8")
    monkeypatch.setattr(bench_peers, "which", lambda _: None)
    here, lines = bench_peers.installed_peers()
    assert here == (Peer.PYTORCH, Peer.OPENVINO)
    assert lines == (
        "pytorch-compiled is not timed: there is no C++ compiler (apt-get install g++)",
        "openvino-bf16 is not timed: this processor has no bfloat16 (OpenVINO has FP32, INT8 on "
        "it)",
    )


def test_peers_that_are_not_installed_are_told_of(call, tmp_path, monkeypatch):
    package = tmp_path / "a.wnet"
    write_package(package, content())
    monkeypatch.setattr(bench_peers, "find_spec", lambda name: None if name == "torch" else name)
    processor_has(monkeypatch, "FP32", "BF16", "INT8")
    here, lines = bench_peers.installed_peers()
    assert here == (Peer.OPENVINO, Peer.OPENVINO_BF16)
    assert lines == (
        "pytorch is not timed: torch is not installed (pip install 'wnet-edge[train]')",
    )
    monkeypatch.setattr(bench_peers, "find_spec", lambda _: None)
    code, _, err = call("bench", package, "--peers")
    assert code == 1
    assert err == (
        "Error: no other runtime is installed: pip install 'wnet-edge[train]' or pip install "
        "openvino onnx\n"
    )


def convolutional(path, **changes):
    """A package of a small convolutional network, whose golden patches are its own."""
    graph = tiny_network()
    package = write_package(path, content(graph, WINDOW_PX))
    outputs = OpenGraph(package, CPU).run(package.golden.counts)
    golden = GoldenFrames(package.golden.counts, {Precision.FP32: outputs})
    return write_package(path, content(graph, WINDOW_PX, golden=golden, **changes), force=True)


def test_openvino_gives_the_golden_patches_for_any_number_of_frames(tmp_path):
    pytest.importorskip("openvino")
    package = convolutional(tmp_path / "conv.wnet")
    run = peer_run(Peer.OPENVINO, package, dataclasses.replace(CPU, batch_size=4))
    counts = np.random.default_rng(0).poisson(3, (4, 1, WINDOW_PX, WINDOW_PX)).astype(np.float32)
    expected = OpenGraph(package, CPU).run(counts)
    for found, wanted in zip(run(counts), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_pytorch_is_the_network_that_the_package_was_exported_from():
    package = open_package(find_package("w3"))
    run = peer_run(Peer.PYTORCH, package, CPU)
    expected = OpenGraph(package, CPU).run(package.golden.counts)
    for found, wanted in zip(run(package.golden.counts.copy()), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_peer_that_computes_something_else_is_not_timed(tmp_path):
    pytest.importorskip("openvino")
    counts = np.ones((2, 1, 8, 8), np.float32)
    other = GoldenFrames(counts, {Precision.FP32: (counts + 1, counts)})
    package = write_package(tmp_path / "wrong.wnet", content(golden=other))
    with pytest.raises(
        PeerError, match=r"openvino is not timed on fp32 of .*: it gives other patches"
    ):
        peer_run(Peer.OPENVINO, package, CPU)


def test_a_graph_that_a_peer_can_not_read_is_not_timed(tmp_path):
    pytest.importorskip("openvino")
    nodes = [
        helper.make_node("BiasGelu", ["counts", "bias"], ["amplitude"], domain="com.microsoft"),
        helper.make_node("Tanh", ["counts"], ["phase"]),
    ]
    package = dataclasses.replace(
        write_package(tmp_path / "odd.wnet", content()),
        graphs={Precision.FP32: onnx_bytes(nodes, 8)},
    )
    with pytest.raises(PeerError, match=r"OpenVINO .* can't run the fp32 graph of .*odd.wnet"):
        peer_run(Peer.OPENVINO, package, CPU)


def test_peers_have_rows_of_their_own(call, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    convolutional(Path("conv.wnet"))
    arguments = ("--batch", 2, "--runs", 3, "--provider", "cpu", "--peers", "--json")
    code, out, err = call("bench", "conv.wnet", *arguments)
    assert code == 0, err
    values = json.loads(out.splitlines()[-1])
    own, peer = values["results"][:2]
    assert (own["runtime"], peer["runtime"], peer["provider"]) == ("onnxruntime", "openvino", "cpu")
    assert peer["end_to_end"] is None
    assert peer["graph"]["ratio"] == pytest.approx(peer["graph"]["p50_ms"] / own["graph"]["p50_ms"])
    assert {"openvino", "torch"} <= set(values["versions"])
    line = "pytorch is not timed on conv.wnet: no PyTorch weights of it ship with wnet-edge"
    assert line in values["notes"]


def test_weights_of_another_network_are_not_timed():
    package = open_package(find_package("w3"))
    renamed = dataclasses.replace(package.manifest, model="ptychonn")
    other = dataclasses.replace(package, manifest=renamed)
    with pytest.raises(
        PeerError, match=r"pytorch is not timed on fp32 of .*: it gives other patches"
    ):
        peer_run(Peer.PYTORCH, other, CPU)
    with pytest.raises(PeerError, match="pytorch is not timed on int8: the network is in fp32"):
        peer_run(Peer.PYTORCH, package, dataclasses.replace(CPU, precision=Precision.INT8))


INT8 = dataclasses.replace(CPU, precision=Precision.INT8)


def signed_graph(weight):
    """Counts and their square root, concatenated, in signed 8 bits, through a 1 × 1 convolution.

    The scale is 1/4, and the same for the weights, which all have the 8-bit value `weight`.
    """
    constants = {
        "scale": np.float32(0.25),
        "zero": np.int8(0),
        "weights": np.full((1, 2, 1, 1), weight, np.int8),
    }
    nodes = [
        helper.make_node("Sqrt", ["counts"], ["root"]),
        helper.make_node("Concat", ["counts", "root"], ["both"], axis=1),
        helper.make_node("QuantizeLinear", ["both", "scale", "zero"], ["small"]),
        helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["wide"]),
        helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["w"]),
        helper.make_node("Conv", ["wide", "w"], ["amplitude"]),
        helper.make_node("Tanh", ["counts"], ["phase"]),
    ]
    initialisers = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    return onnx_bytes(nodes, 8, initialisers)


def signed_package(path, weight, counts):
    """A package of that graph, whose golden patches are exact."""
    both = np.concatenate([counts, np.sqrt(counts)], axis=1)
    amplitude = np.clip(np.rint(both / 0.25), -128, 127).sum(1, keepdims=True) * weight / 16
    golden = GoldenFrames(counts, {Precision.INT8: (amplitude.astype(np.float32), np.tanh(counts))})
    source = content(
        golden=golden,
        graphs={Precision.INT8: Graph(signed_graph(weight), opset=20)},
        tolerance={Precision.INT8: Tolerance(1e-3, 1e-3, 1e-3)},
    )
    return write_package(path, source)


def test_openvino_keeps_the_steps_of_signed_activations_behind_a_concat(tmp_path):
    """Left signed, their range of -32 … 31.75 would be rounded to -32 … 32, in steps of one."""
    pytest.importorskip("openvino")
    counts = np.random.default_rng(0).uniform(0, 30, (2, 1, 8, 8)).astype(np.float32)
    package = signed_package(tmp_path / "signed.wnet", 60, counts)
    amplitude, _ = peer_run(Peer.OPENVINO, package, INT8)(counts)
    np.testing.assert_allclose(amplitude, package.golden.outputs[Precision.INT8][0], atol=1e-3)


def test_products_that_saturate_without_vnni_are_told_of(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    counts = np.full((2, 1, 8, 8), 30, np.float32)
    package = signed_package(tmp_path / "wide.wnet", 127, counts)
    other = GoldenFrames(counts, {Precision.INT8: (counts, counts)})
    wrong = dataclasses.replace(package, golden=other)
    for vnni, end in ((True, " rad"), (False, "export --precision int8-u8s8")):
        monkeypatch.setattr(bench_peers, "has_vnni", lambda vnni=vnni: vnni)
        with pytest.raises(PeerError, match=f"openvino is not timed on int8 of .*{end}$"):
            peer_run(Peer.OPENVINO, wrong, INT8)


def test_bfloat16_computes_the_fp32_graph_alone(tmp_path):
    pytest.importorskip("openvino")
    wide = {Precision.FP32: Tolerance(0.1, 0.1, 0.1)}
    package = convolutional(tmp_path / "conv.wnet", tolerance=wide)
    run = peer_run(Peer.OPENVINO_BF16, package, CPU)
    assert run(package.golden.counts)[1].shape == package.golden.counts.shape
    with pytest.raises(
        PeerError,
        match="openvino-bf16 is not timed on int8: it is the fp32 graph, computed in bfloat16",
    ):
        peer_run(Peer.OPENVINO_BF16, package, INT8)
