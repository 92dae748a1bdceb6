"""A trained network traced to an FP32 ONNX graph: counts in, amplitude and phase out.

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
from wnet_edge.export.graph import INPUT, OPSET, OUTPUTS, serialise, strip
from wnet_edge.export.passes.pixel_shuffle import shuffle_in_runs
from wnet_edge.export.passes.resized_shapes import state_resized_shapes
from wnet_edge.models.dynamo import no_compiler_folder
from wnet_edge.models.registry import CountsNetwork


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
