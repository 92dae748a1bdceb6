"""Pass that states the shapes of upsampled maps, whose batch dimension ONNX does not infer.

The last pass over every graph. ONNX Runtime fuses a sum, and the ReLU after it, into the preceding
convolution only if both summands are known to have the same shape.
"""

import onnx


def state_resized_shapes(model: onnx.ModelProto) -> None:
    """State, in place, that each Resize of FP32 maps keeps the batch size of the graph's input.

    Not for maps in half: a sum fused into a convolution is not rounded, so patches would differ.

    Args:
        model: model whose Resize nodes all scale height and width only.
    """
    graph = model.graph
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    resized = {node.output[0] for node in graph.node if node.op_type == "Resize"}
    for inferred in onnx.shape_inference.infer_shapes(model).graph.value_info:
        kind = inferred.type.tensor_type
        if inferred.name in resized and kind.elem_type == onnx.TensorProto.FLOAT:
            kind.shape.dim[0].CopyFrom(batch)
            graph.value_info.append(inferred)
