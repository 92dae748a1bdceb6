"""A small convolutional network as an ONNX graph, for tests of calibration and quantisation."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from tiny import onnx_bytes

WINDOW_PX = 16
LAYERS = 4


def tiny_network(seed=0, spread=1.0, channels=8):
    """Counts → √ → three convolutions with ReLU between → a head each; window 16.

    `spread` widens the weights of the last hidden layer, channel by channel.
    """
    rng = np.random.default_rng(seed)
    weights = {
        "a": rng.normal(0, 0.5, (channels, 1, 3, 3)),
        "b": rng.normal(0, 0.3, (channels, channels, 3, 3)),
        "amplitude_head": rng.normal(0, 0.2, (1, channels, 1, 1)),
        "phase_head": rng.normal(0, 0.2, (1, channels, 1, 1)),
    }
    weights["b"] *= np.geomspace(1, spread, channels)[:, None, None, None]
    initialisers = [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()]
    initialisers.append(numpy_helper.from_array(np.full(channels, 0.1, np.float32), "bias"))
    nodes = [
        helper.make_node("Relu", ["counts"], ["lit"], "front_relu"),
        helper.make_node("Sqrt", ["lit"], ["root"], "front_root"),
        helper.make_node("Conv", ["root", "a", "bias"], ["a_out"], "conv_a", pads=[1] * 4),
        helper.make_node("Relu", ["a_out"], ["a_lit"], "relu_a"),
        helper.make_node("Conv", ["a_lit", "b", "bias"], ["b_out"], "conv_b", pads=[1] * 4),
        helper.make_node("Relu", ["b_out"], ["b_lit"], "relu_b"),
        helper.make_node("Conv", ["b_lit", "amplitude_head"], ["raw"], "conv_amplitude"),
        helper.make_node("Sigmoid", ["raw"], ["amplitude"], "sigmoid"),
        helper.make_node("Conv", ["b_lit", "phase_head"], ["turn"], "conv_phase"),
        helper.make_node("Tanh", ["turn"], ["phase"], "tanh"),
    ]
    return onnx_bytes(nodes, WINDOW_PX, initialisers)


def counts(number=16, seed=1):
    """Frames (N, 1, 16, 16) float32 of photon counts."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(1, 20, (number, 1, 1, 1))
    return rng.poisson(level, (number, 1, WINDOW_PX, WINDOW_PX)).astype(np.float32)


def initialisers(graph):
    """Name to array of a graph's constants."""
    model = onnx.load_from_string(graph)
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def operators(graph):
    """Kinds of a graph's nodes, in order."""
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def optimised(graph):
    """Kinds of the nodes that ONNX Runtime's processor provider makes of a graph."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    with TemporaryDirectory() as folder:
        settings.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        return operators(Path(settings.optimized_model_filepath).read_bytes())
