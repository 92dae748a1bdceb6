"""ONNX graphs in memory: names of their ports, operator sets, what to strip, their bytes."""

import onnx

from wnet_edge.errors import ExportError

OPSET = 20
"""Default ONNX opset: the newest in which every operator used has kernels on CPU and CUDA."""

OLDEST_OPSET, NEWEST_OPSET = 18, 25
"""Opsets that torch's exporter writes directly; others it converts in part or not at all."""

_WINDOW_DEFAULTS = (("strides", {1}), ("dilations", {1}), ("pads", {0}))
"""Attribute defaults of convolution and pooling, per axis; ONNX's schemas do not contain them."""

INPUT = "counts"
OUTPUTS = ("amplitude", "phase")


def fix_batch(model: onnx.ModelProto, batch_size: int) -> None:
    """Set, in place, a fixed batch size.

    Raises:
        ExportError: if shapes inside the graph contradict it.
    """
    graph = model.graph
    for port in (*graph.input, *graph.output, *graph.value_info):
        port.type.tensor_type.shape.dim[0].dim_value = batch_size
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph takes no batch of {batch_size}: {error}") from error


def serialise(model: onnx.ModelProto) -> bytes:
    """Bytes of a model, deterministically."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset(model: onnx.ModelProto) -> int:
    """Opset version of the default ONNX domain in a model."""
    versions = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    return int(versions["ai.onnx"])


def strip(model: onnx.ModelProto) -> None:
    """Remove, in place, everything that does not affect what the graph computes."""
    for name in ("doc_string", "producer_version"):
        model.ClearField(name)
    model.producer_name = "wnet-edge"
    del model.metadata_props[:]
    graph = model.graph
    graph.name = "wnet-edge"
    graph.ClearField("doc_string")
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")  # an empty one is stored too
        del part.metadata_props[:]
    for node in graph.node:
        if not node.domain:  # ONNX does not know the defaults of other domains
            _drop_defaults(node, opset(model))


def _drop_defaults(node: onnx.NodeProto, version: int) -> None:
    """Remove, in place, attributes that have their default value."""
    known = onnx.defs.get_schema(node.op_type, version).attributes
    modes = {attribute.s for attribute in node.attribute if attribute.name == "mode"}
    kept = [
        attribute
        for attribute in node.attribute
        if not (
            # Without a default, `default_value` has no name.
            attribute == known[attribute.name].default_value
            or (
                node.op_type in ("Conv", "MaxPool")
                and (attribute.name, set(attribute.ints)) in _WINDOW_DEFAULTS
            )
            # The rounding mode of nearest-neighbour resizing, for other modes.
            or (attribute.name == "nearest_mode" and modes == {b"linear"})
        )
    ]
    del node.attribute[:]
    node.attribute.extend(kept)
