"""Signed activations of a quantised graph as unsigned ones, for OpenVINO.

OpenVINO's 8-bit convolutions take unsigned activations. It shifts signed ones itself, and where
they pass a Concat it rounds their range to whole numbers first: a range of -2.53 … 2.51 becomes
seven levels from -3 to 3. Activations that are unsigned in the graph are left as they are.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from wnet_edge.export.graph import serialise

_SHIFT = 128


def unsigned_activations(graph: bytes) -> bytes:
    """Graph whose activations are uint8 where they were int8, zero points higher by 128.

    Every value has the same scale and is rounded and clipped as before, so the graph computes the
    same. Weights stay as they are.

    Args:
        graph: ONNX bytes in QDQ format; each QuantizeLinear is followed by DequantizeLinear only.
    """
    model = onnx.load_from_string(graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    shifted: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        zero_point = constants.get("".join(node.input[2:]))
        if node.input[0] in constants or zero_point is None:
            continue
        if zero_point.data_type != onnx.TensorProto.INT8:
            continue
        name = f"{zero_point.name}/unsigned"
        if name not in shifted:
            unsigned = numpy_helper.to_array(zero_point).astype(np.int16) + _SHIFT
            shifted[name] = numpy_helper.from_array(unsigned.astype(np.uint8), name)
        node.input[2] = name
    model.graph.initializer.extend(shifted.values())
    return serialise(model)
