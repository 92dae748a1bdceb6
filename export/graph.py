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
from wnet_edge.models.registry import CountsNetwork

OPSET = 20
"""ONNX operator set: the newest in which every operator used has kernels on CPU and CUDA."""

OLDEST_OPSET, NEWEST_OPSET = 18, 25
"""What torch's exporter writes itself; beyond, it converts in part or not at all."""

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
    with warnings.catch_warnings(), _quiet("torch.onnx"):
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
    onnx.checker.check_model(model, full_check=True)
    return serialise(model)


def fix_batch(model: onnx.ModelProto, batch_size: int) -> None:
    """Declare, in place, that every run takes `batch_size` frames.

    Raises:
        ExportError: if shapes inside the graph say otherwise.
    """
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = batch_size
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph takes no batch of {batch_size}: {error}") from error


def serialise(model: onnx.ModelProto) -> bytes:
    """Bytes of a model, the same for the same model."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def strip(model: onnx.ModelProto) -> None:
    """Remove, in place, whatever does not change what the graph computes."""
    model.doc_string = ""
    model.producer_name = "wnet-edge"
    model.producer_version = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name = "wnet-edge"
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    for node in graph.node:
        if node.op_type == "Conv":
            _drop_defaults(node)


def _drop_defaults(node: onnx.NodeProto) -> None:
    """Leave out the attributes of a convolution that say what ONNX assumes anyway."""
    kept = [
        attribute
        for attribute in node.attribute
        if not (
            (attribute.name == "auto_pad" and attribute.s == b"NOTSET")
            or (attribute.name == "group" and attribute.i == 1)
            or (attribute.name in ("strides", "dilations") and set(attribute.ints) == {1})
            or (attribute.name == "pads" and set(attribute.ints) == {0})
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
