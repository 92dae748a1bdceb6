"""From a trained network to an ONNX graph: counts in, amplitude and phase out, nothing else in it.

First step of export. The normalisation is traced with the network, batch norms are folded by the
exporter, and what only the exporter's debugging needs (names of Python modules, inferred shapes) is
left out: in a small graph it weighs as much as the weights.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch

from wnet_edge.errors import ExportError
from wnet_edge.export.pixel_shuffle import shuffle_in_runs
from wnet_edge.export.resized_shapes import state_resized_shapes
from wnet_edge.models.dynamo import no_compiler_folder
from wnet_edge.models.registry import CountsNetwork

OPSET = 20
"""ONNX operator set: the newest in which every operator used has kernels on CPU and CUDA."""

OLDEST_OPSET, NEWEST_OPSET = 18, 25
"""What torch's exporter writes itself; beyond, it converts in part or not at all."""

_WINDOW_DEFAULTS = (("strides", {1}), ("dilations", {1}), ("pads", {0}))
"""What ONNX assumes, in its text alone, for every axis of a convolution or pooling."""

INPUT = "counts"
OUTPUTS = ("amplitude", "phase")


def export_fp32(network: CountsNetwork, window_px: int, opset: int = OPSET) -> bytes:
    """FP32 graph of a network in evaluation mode, for any batch size; the same bytes every time.

    Raises:
        ExportError: if the exporter gives no graph, or one of another opset.
    """
    frames = torch.full((2, 1, window_px, window_px), 100.0)
    # A copy without the memory layout of training: the layout is no part of the graph.
    network = network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with warnings.catch_warnings(), _quiet("torch.onnx"), no_compiler_folder():
        # torch's own exporter calls what torch deprecates.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (frames,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise ExportError("the exporter of torch gave no graph")
    model = program.model_proto
    # Where it can't, the exporter leaves another one and says so in a log.
    if [found.version for found in model.opset_import if not found.domain] != [opset]:
        raise ExportError(f"the exporter of torch gave no graph of opset {opset}; name another")
    strip(model)
    shuffle_in_runs(model)
    state_resized_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    return serialise(model)


def fix_batch(model: onnx.ModelProto, batch_size: int) -> None:
    """Declare, in place, that every run takes `batch_size` frames.

    Raises:
        ExportError: if shapes inside the graph say otherwise.
    """
    graph = model.graph
    for port in (*graph.input, *graph.output, *graph.value_info):
        port.type.tensor_type.shape.dim[0].dim_value = batch_size
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph takes no batch of {batch_size}: {error}") from error


def serialise(model: onnx.ModelProto) -> bytes:
    """Bytes of a model, the same for the same model."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset(model: onnx.ModelProto) -> int:
    """Version of ONNX's own operators in a model."""
    versions = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    return int(versions["ai.onnx"])


def strip(model: onnx.ModelProto) -> None:
    """Remove, in place, whatever does not change what the graph computes."""
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
        if not node.domain:  # ONNX does not know what others assume
            _drop_defaults(node, opset(model))


def _drop_defaults(node: onnx.NodeProto, version: int) -> None:
    """Leave out the attributes of an operator that say what ONNX assumes anyway."""
    known = onnx.defs.get_schema(node.op_type, version).attributes
    modes = {attribute.s for attribute in node.attribute if attribute.name == "mode"}
    kept = [
        attribute
        for attribute in node.attribute
        if not (
            # Where an operator assumes nothing, `default_value` has no name.
            attribute == known[attribute.name].default_value
            or (
                node.op_type in ("Conv", "MaxPool")
                and (attribute.name, set(attribute.ints)) in _WINDOW_DEFAULTS
            )
            # How to round to the nearest pixel, where none is looked for.
            or (attribute.name == "nearest_mode" and modes == {b"linear"})
        )
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Hold back a logger's warnings: the exporter tells of operators that no network here has."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
