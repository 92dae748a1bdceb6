"""What an export is asked for: opset, batch size, a key, a target; and what graphs then say.

W3 at every opset on offer takes longer and is in benchmarks/test_opsets.py.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from signing import public_key, write_keys
from tiny import content, onnx_bytes
from torch import nn
from torch.nn.functional import interpolate

from wnet_edge.errors import ExportError
from wnet_edge.export import export_network
from wnet_edge.export.export_package import Exported
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.export.options import ExportOptions
from wnet_edge.export.parity import assert_parity
from wnet_edge.export.passes.finish import finished
from wnet_edge.export.precisions import Made
from wnet_edge.export.trace import export_fp32
from wnet_edge.judging.yardstick import Judge
from wnet_edge.models.registry import normalise
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import pack, write_package


class Small(nn.Module):
    """The contract of all networks and the operators whose definitions change with the opset."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.up = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, counts):
        seen = torch.relu(self.down(normalise(counts, counts >= 0)))
        seen = seen * seen.mean(dim=(2, 3), keepdim=True)
        out = self.up(interpolate(seen, scale_factor=2, mode="bilinear"))
        return 2 * torch.sigmoid(out[:, :1]), torch.pi * torch.tanh(out[:, 1:])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Small().eval()


@pytest.mark.parametrize("opset", [OLDEST_OPSET, NEWEST_OPSET])
def test_opsets_on_offer_run(network, opset):
    graph = export_fp32(network, 16, opset)
    imported = {found.domain: found.version for found in onnx.load_from_string(graph).opset_import}
    assert imported[""] == opset
    counts = np.random.default_rng(0).poisson(3.0, (8, 1, 16, 16)).astype(np.float32)
    assert_parity(graph, network, counts)


@pytest.mark.parametrize("wrong", [OLDEST_OPSET - 1, NEWEST_OPSET + 1])
def test_other_opsets_are_refused(network, wrong):
    with pytest.raises(ExportError, match="choose from 18 to 25"):
        ExportOptions(opset=wrong)
    if wrong < OLDEST_OPSET:
        # torch keeps to its own oldest, and only a log says so.
        with pytest.raises(ExportError, match=f"no graph of opset {wrong}"):
            export_fp32(network, 16, wrong)


@pytest.mark.parametrize("wrong", [0, 5000])
def test_other_batches_are_refused(wrong):
    with pytest.raises(ExportError, match="choose from 1 to 1024"):
        ExportOptions(batch_size=wrong)


def test_a_bare_graph_says_what_it_is():
    source = content()
    once, again = finished(source), finished(finished(source))
    graph = once.graphs[Precision.FP32].content
    assert graph == again.graphs[Precision.FP32].content
    told = onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map
    assert told == {
        "binning": "2",
        "created": "2024-05-01T12:00:00Z",
        "input": "counts a pixel, masked pixels negative",
        "model": "tiny",
        "object_pixel_size_m": repr(source.object_pixel_size_m),
        "output_amplitude": "relative to its illumination-weighted RMS",
        "output_phase": "rad, relative to its illumination-weighted mean",
        "precision": "fp32",
        "probe_sha256": pack(source).manifest.probe.sha256,
        "training_recipe": "none",
        "training_seed": "0",
        "wnet_edge_version": "0",
        "window_px": "8",
    }
    keys = [entry.key for entry in onnx.load_from_string(graph).metadata_props]
    assert keys == sorted(keys)
    assert len(graph) - len(source.graphs[Precision.FP32].content) < 700


def test_a_fixed_batch_is_declared_and_runs():
    graph = finished(content(batch_size=4)).graphs[Precision.FP32].content
    session = onnxruntime.InferenceSession(graph)
    for port in (*session.get_inputs(), *session.get_outputs()):
        assert port.shape == [4, 1, 8, 8]
    counts = np.ones((4, 1, 8, 8), np.float32)
    assert session.run(["amplitude"], {"counts": counts})[0].shape == counts.shape


def test_a_graph_of_another_batch_is_not_fixed():
    shape = numpy_helper.from_array(np.array([3, 1, 8, 8]), "shape")
    nodes = [
        helper.make_node("Reshape", ["counts", "shape"], ["amplitude"]),
        helper.make_node("Tanh", ["counts"], ["phase"]),
    ]
    with pytest.raises(ExportError, match="the graph takes no batch of 4"):
        finished(content(onnx_bytes(nodes, 8, [shape]), batch_size=4))


@pytest.fixture
def exported(monkeypatch):
    """Exports the tiny graph in place of a network; gives the options it was asked for."""
    asked = []

    def export(_checkpoint, _material, output, options, *, force, tell):
        tell("exporting")
        asked.append(options)
        whole = content()
        package = write_package(output, whole, force=force, key=options.key)
        made = {
            kind: Made(graph, whole.golden.outputs[kind], whole.tolerance[kind])
            for kind, graph in whole.graphs.items()
        }
        return Exported(package, Deviation(0.0, 0.0, 0.0), made, {}, Judge.REFERENCE, ())

    monkeypatch.setattr(export_network, "export_package", export)
    return asked


def test_export_passes_on_what_it_is_asked(call, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key, trusted = write_keys(tmp_path, "key", 1)
    words = ("export", "--model", "w3", "--sign", key, "--opset", 19, "--batch", 8)
    assert call(*words)[0] == 0
    (options,) = exported
    assert (options.opset, options.batch_size) == (19, 8)
    assert open_package(tmp_path / "w3.wnet", public_key(1)).signature is not None
    assert call("export", "--model", "w3", "--batch", "dynamic", "--force")[0] == 0
    assert exported[1] == ExportOptions(OPSET, optional=ExportOptions.precisions)
    refused = call("export", "--model", "w3", "--sign", trusted, "--force")
    assert f"{trusted}: is not an Ed25519 private key" in refused[2]


@pytest.mark.usefixtures("exported")
def test_triton_takes_a_network_or_a_package(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    triton = ("export", "--target", "triton")
    code, out, _ = call(*triton, "--model", "w3", "-o", "models")
    assert (code, out) == (0, "models/w3-fp32: model.onnx, config.pbtxt\n")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
    refused = call(*triton, "--model", "w3", "-o", "models")
    assert refused[2].startswith("Error: models/w3-fp32: exists already; replace it with --force")
    key, trusted = write_keys(tmp_path, "key", 1)
    assert call("export", "--model", "w3", "--sign", key, "-o", "mine.wnet")[0] == 0
    package = (*triton, "--package", "mine.wnet")
    assert call(*package, "--trust", trusted)[0] == 0
    graph = Path("triton/mine-fp32/1/model.onnx").read_bytes()
    assert graph == open_package(Path("mine.wnet")).graphs[Precision.FP32]
    assert call(*package, "--trust", "gone", "--force")[2].startswith("Error: gone: no such file")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--package", "w3"), "--package goes with --target ort or triton"),
        (("--package", "w3", "--model", "w3"), "give either --model"),
        (("--model", "w3", "--trust", "k"), "--trust goes with --package"),
        (("--package", "w3", "--target", "triton", "--opset", "20"), "--opset is for new graphs"),
        (("--package", "w3", "--target", "triton", "--batch", "2"), "--batch is for new graphs"),
        (("--model", "w3", "--target", "triton", "--sign", "k"), "--sign is for packages"),
        (
            ("--model", "w3", "--calibration-source", "simulated", "--reference", "r.npz"),
            "--reference is of a scan: it goes with --calibration",
        ),
        (("--model", "w3", "--opset", "17"), "18<=x<=25"),
        (("--model", "w3", "--batch", "0"), "neither dynamic nor within 1 to 1024"),
        (("--model", "w3", "--batch", "some"), "neither dynamic nor within 1 to 1024"),
    ],
)
def test_wrong_usage_exits_2(call, words, message):
    code, _, err = call("export", *words)
    assert code == 2
    assert message in err
