"""The shapes of upsampled maps, stated in the graph: with a free batch, ONNX infers no batch there.

A pass over every graph, the last one. ONNX Runtime takes a sum, and the ReLU behind it, into the
convolution before it only where it knows both summands to have the same shape.
"""

import onnx


def state_resized_shapes(model: onnx.ModelProto) -> None:
    """State, in place, that each Resize of FP32 maps keeps the batch of the graph's input.

    Not of maps in half: a sum inside a convolution is not rounded, so patches would differ.

    Args:
        model: whose Resize nodes all scale height and width alone.
    """
    graph = model.graph
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    resized = {node.output[0] for node in graph.node if node.op_type == "Resize"}
    for inferred in onnx.shape_inference.infer_shapes(model).graph.value_info:
        kind = inferred.type.tensor_type
        if inferred.name in resized and kind.elem_type == onnx.TensorProto.FLOAT:
            kind.shape.dim[0].CopyFrom(batch)
            graph.value_info.append(inferred)
