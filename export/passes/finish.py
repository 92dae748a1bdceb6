"""The last touch to every graph before it is packed: its batch size, and what it says of itself.

After quantisation, calibration and the golden frames, which all run graphs of any batch size.
"""

from dataclasses import replace

import onnx

from wnet_edge.export.graph import fix_batch, serialise
from wnet_edge.export.passes.graph_metadata import GraphFacts, describe, facts_of
from wnet_edge.package.packing import PackageContent


def finished(content: PackageContent) -> PackageContent:
    """The content with graphs that take `content.batch_size` frames and bear its facts.

    Raises:
        ExportError: if a graph does not stand on that batch size.
    """
    graphs = {
        kind: replace(
            graph,
            content=_finished(graph.content, content.batch_size, facts_of(content, kind)),
        )
        for kind, graph in content.graphs.items()
    }
    return replace(content, graphs=graphs)


def _finished(graph: bytes, batch_size: int | None, facts: GraphFacts) -> bytes:
    model = onnx.load_from_string(graph)
    if batch_size is not None:
        fix_batch(model, batch_size)
    describe(model, facts)
    return serialise(model)
