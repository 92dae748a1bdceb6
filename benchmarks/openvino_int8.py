"""Why OpenVINO's patches of W3's INT8 graph are others: two causes, each alone and in the graph.

    python -m benchmarks.openvino_int8

Graphs of one layer show what OpenVINO computes there, and the golden patches of the embedded w3
what each cause costs. Prints the tables of docs/devices.md. Products saturate without VNNI only;
steps are lost on every processor.
"""

from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.markdown import head, show
from wnet_edge.embedded import find_package
from wnet_edge.export.int8.unsigned import unsigned_activations
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.session_settings import X64_PRECISION

WEIGHTS = (64, 65, 127)
CHANNELS, BRIGHTEST = 4, 255
"""Of the graph that saturates: every count is 255, and every weight the same."""

SCALES = (1.0, 0.1, 0.0197)
"""Steps of the activations behind a Concat; the last is that of W3's first layer."""

NARROW = 64
"""Largest weight of 7 bits: 2 × 255 × 64 fits into 16 bits with sign, 2 × 255 × 65 does not."""


def run(
    graph: bytes, inputs: dict[str, NDArray[np.float32]], *, in_integers: bool = True
) -> dict[str, NDArray[np.float32]]:
    """Outputs of a graph in OpenVINO, in FP32 where it is not in integers.

    Without `in_integers`, OpenVINO's transformations to low precision are left out by an option of
    its CPU plugin that is not documented.
    """
    core = openvino.Core()
    model = core.read_model(model=graph)
    model.reshape({name: list(values.shape) for name, values in inputs.items()})
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    if not in_integers:
        options["LP_TRANSFORMS_MODE"] = "NO"
    found = core.compile_model(model, "CPU", options).create_infer_request().infer(inputs)
    return {name: np.array(values) for port, values in found.items() for name in port.names}


def convolution(
    weights: NDArray[np.int8], scale: float, zero_point: np.generic, inputs: Sequence[str]
) -> bytes:
    """ONNX bytes: inputs, concatenated if there are several, quantised, through a convolution.

    Args:
        weights: (out, in, 1, 1) int8, of scale 1.
        scale: of the activations.
        zero_point: of the activations, whose type is its own.
        inputs: names; each has in / len(inputs) channels of 16 × 16.
    """
    constants = {
        "weights": weights,
        "scale": np.float32(scale),
        "zero": zero_point,
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("Concat", list(inputs), ["x"], axis=1),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["values"]),
        helper.make_node("DequantizeLinear", ["weights", "one"], ["w"]),
        helper.make_node("Conv", ["values", "w"], ["y"]),
    ]
    shape = [1, weights.shape[1] // len(inputs), 16, 16]
    graph = helper.make_graph(
        nodes,
        "one layer",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    return content


def sum_of_products(weight: int) -> int:
    """OpenVINO's sum of four products of a weight with counts of 255."""
    weights = np.full((8, CHANNELS, 1, 1), weight, np.int8)
    counts = np.full((1, CHANNELS, 16, 16), BRIGHTEST, np.float32)
    graph = convolution(weights, 1.0, np.uint8(0), ["a"])
    return int(run(graph, {"a": counts})["y"][0, 0, 0, 0])


def steps_behind_concat(scale: float, zero_point: np.generic) -> tuple[float, float, float]:
    """Smallest step, least and largest of a ramp through a Concat and 8 bits, units of `scale`."""
    ramp = np.linspace(-130, 130, 256, dtype=np.float32).reshape(1, 1, 16, 16) * np.float32(scale)
    graph = convolution(np.eye(2, dtype=np.int8)[:, :, None, None], scale, zero_point, ["a", "b"])
    found = np.unique(run(graph, {"a": ramp, "b": ramp})["y"][0, 0] / scale)
    steps = [b - a for a, b in pairwise(found) if b - a > 1e-3]
    return min(steps), float(found[0]), float(found[-1])


def narrow(graph: bytes) -> bytes:
    """The graph with weights of 7 bits: half of those that have 8, at twice the scale."""
    model = onnx.load_from_string(graph)
    constants = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        weights = numpy_helper.to_array(constants[node.input[0]])
        if weights.dtype != np.int8 or np.abs(weights.astype(np.int16)).max() <= NARROW:
            continue
        half = np.rint(weights / 2).astype(np.int8)
        scale = numpy_helper.to_array(constants[node.input[1]]) * np.float32(2)
        name = f"{node.input[0]}/scale"
        constants[node.input[0]].CopyFrom(numpy_helper.from_array(half, node.input[0]))
        model.graph.initializer.append(numpy_helper.from_array(scale, name))
        node.input[1] = name
    content: bytes = model.SerializeToString()
    return content


def w3_deviations() -> dict[str, Deviation]:
    """From W3's golden patches of INT8, as the graph is and with each cause removed."""
    package = open_package(find_package("w3"))
    graph, counts = package.graphs[Precision.INT8], package.golden.counts
    expected = package.golden.outputs[Precision.INT8]

    def deviation(content: bytes, *, in_integers: bool = True) -> Deviation:
        found = run(content, {"counts": counts}, in_integers=in_integers)
        return Deviation.between((found["amplitude"], found["phase"]), expected)

    seven_bits = narrow(graph)
    on_processor = patches_on_processor(seven_bits, counts, {X64_PRECISION: True})
    return {
        "as in the package": deviation(graph),
        "7-bit weights": deviation(seven_bits),
        "unsigned activations": deviation(unsigned_activations(graph)),
        "both": deviation(unsigned_activations(seven_bits)),
        "as in the package, in FP32": deviation(graph, in_integers=False),
        "7-bit weights, in ONNX Runtime": Deviation.between(on_processor, expected),
    }


def main() -> None:
    """Print the tables."""
    head("processor", "OpenVINO")
    show(processor_name(), version("openvino"))
    head("weight", "true sum", "OpenVINO")
    for weight in WEIGHTS:
        show(weight, CHANNELS * BRIGHTEST * weight, sum_of_products(weight))
    head("scale", "activations", "step / scale", "least", "largest")
    for scale in SCALES:
        for zero_point in (np.int8(0), np.uint8(128)):
            step, *ends = steps_behind_concat(scale, zero_point)
            show(f"{scale:g}", zero_point.dtype, f"{step:.3g}", *(f"{end:.4g}" for end in ends))
    head("W3's INT8 graph", "phase, RMS", "largest")
    for name, found in w3_deviations().items():
        show(name, f"{found.phase_rms_rad:.3f} rad", f"{found.phase_rad:.2f} rad")


if __name__ == "__main__":
    main()
