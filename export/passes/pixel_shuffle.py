"""Pass that rewrites the decoders' last pixel shuffle as transposes, which run faster.

ONNX Runtime's DepthToSpace moves one value at a time; in channels-last order, close to its layout
after a convolution, the values of a block's row are already contiguous.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def shuffle_in_runs(model: onnx.ModelProto) -> None:
    """Replace, in place, each DepthToSpace to one channel by transposes that give the same values.

    (B, b², H, W) → (B, H, W, b²) → (B, H, b, W, b) → (B, 1, b H, b W). Nodes with more output
    channels, or with unknown H and W, are left unchanged.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim]
        for port in (*inferred.input, *inferred.value_info)
    }
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        made, constants = _shuffle(node, shapes.get(node.input[0], []))
        nodes += made
        graph.initializer.extend(constants)
    del graph.node[:]
    graph.node.extend(nodes)


def _shuffle(
    node: onnx.NodeProto, shape: list[int]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and constants that replace the node, given its input's shape (0 where unknown)."""
    if node.op_type != "DepthToSpace" or len(shape) != 4:
        return [node], []
    block = next(a.i for a in node.attribute if a.name == "blocksize")
    _, channels, height, width = shape
    # With one output channel, both channel orders of ONNX (DCR and CRD) are the same.
    if channels != block * block or not height or not width:
        return [node], []
    return _transposes(node, height, width, block)


def _transposes(
    node: onnx.NodeProto, height: int, width: int, block: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    [source], [result] = node.input, node.output
    shapes = {
        "blocks": [0, height, width, block, block],
        "image": [0, 1, height * block, width * block],
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Transpose", [source], "last", {"perm": [0, 2, 3, 1]}),
        ("Reshape", [f"{result}/last", f"{result}/blocks"], "split", {}),
        ("Transpose", [f"{result}/split"], "rows", {"perm": [0, 1, 3, 2, 4]}),
        ("Reshape", [f"{result}/rows", f"{result}/image"], "", {}),
    ]
    nodes = [
        helper.make_node(kind, inputs, [f"{result}/{part}" if part else result], **attributes)
        for kind, inputs, part, attributes in steps
    ]
    constants = [
        numpy_helper.from_array(np.array(shape, np.int64), f"{result}/{name}")
        for name, shape in shapes.items()
    ]
    return nodes, constants
