"""Other runtimes in `wnet-edge bench --peers`: timed only where they compute the same."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tiny import content, onnx_bytes
from tiny_network import WINDOW_PX, tiny_network

from wnet_edge.cli import bench_peers
from wnet_edge.cli.bench_peers import Peer, peer_run
from wnet_edge.embedded import find_package
from wnet_edge.errors import PeerError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings

CPU = RunSettings(Precision.FP32, Provider.CPU, 1, 2)


def test_peers_that_are_not_installed_are_told_of(call, tmp_path, monkeypatch):
    package = tmp_path / "a.wnet"
    write_package(package, content())
    monkeypatch.setattr(bench_peers, "find_spec", lambda name: None if name == "torch" else name)
    here, lines = bench_peers.installed_peers()
    assert here == (Peer.OPENVINO,)
    assert lines == (
        "pytorch is not timed: torch is not installed (pip install 'wnet-edge[train]')",
    )
    monkeypatch.setattr(bench_peers, "find_spec", lambda _: None)
    code, _, err = call("bench", package, "--peers")
    assert code == 1
    assert err == (
        "Error: no other runtime is installed: pip install 'wnet-edge[train]' or pip install "
        "openvino\n"
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
    from onnx import helper

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
    own, peer = values["results"]
    assert (own["runtime"], peer["runtime"], peer["provider"]) == ("onnxruntime", "openvino", "cpu")
    assert peer["end_to_end"] is None
    assert peer["graph"]["ratio"] == pytest.approx(peer["graph"]["p50_ms"] / own["graph"]["p50_ms"])
    assert {"openvino", "torch"} <= set(values["versions"])
    assert values["notes"] == [
        "pytorch is not timed on conv.wnet: no PyTorch weights of it ship with wnet-edge"
    ]


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
