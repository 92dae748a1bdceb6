"""A trained network traced to an FP32 ONNX graph: counts in, amplitude and phase out.

First step of export. The normalisation is traced with the network, batch norms are folded by the
exporter, and debugging information (names of Python modules, inferred shapes) is stripped: in a
small graph it takes as many bytes as the weights.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import INPUT, OPSET, OUTPUTS, serialise, strip
from wnet_edge.export.passes.pixel_shuffle import shuffle_in_runs
from wnet_edge.export.passes.resized_shapes import state_resized_shapes
from wnet_edge.models.dynamo import no_compiler_folder
from wnet_edge.models.registry import CountsNetwork


def export_fp32(network: CountsNetwork, window_px: int, opset: int = OPSET) -> bytes:
    """Export a network to an FP32 graph for any batch size; returns ONNX bytes, reproducibly.

    Raises:
        ExportError: if the exporter fails, or writes another opset.
    """
    frames = torch.full((2, 1, window_px, window_px), 100.0)
    # A copy without the memory layout of training, which is not part of the graph.
    network = network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with warnings.catch_warnings(), _quiet("torch.onnx"), no_compiler_folder():
        # torch's exporter calls functions that torch has deprecated.
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
    # If the exporter can't write the opset, it writes another one and only logs that.
    if [found.version for found in model.opset_import if not found.domain] != [opset]:
        raise ExportError(f"the exporter of torch gave no graph of opset {opset}; name another")
    strip(model)
    shuffle_in_runs(model)
    state_resized_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    return serialise(model)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Context without a logger's warnings, as the exporter warns of operators not used here."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
