"""What a graph says of itself when it is found without its package.

Written into the `metadata_props` of each graph, which every ONNX tool shows; ONNX Runtime has it as
`session.get_modelmeta().custom_metadata_map`. The manifest says more and is what counts.
"""

from dataclasses import dataclass

import onnx

from wnet_edge.package.archive import npy_bytes
from wnet_edge.package.manifest import PROBE_FILE, MemberEntry, Precision
from wnet_edge.package.packing import PackageContent


@dataclass(frozen=True)
class GraphFacts:
    """What is told; see `Manifest` for each field's meaning."""

    model: str
    precision: Precision
    window_px: int
    binning: int
    object_pixel_size_m: float
    probe_sha256: str
    recipe: str
    seed: int
    version: str
    created: str


def facts_of(content: PackageContent, precision: Precision) -> GraphFacts:
    """The facts of one graph of a package to be."""
    return GraphFacts(
        model=content.model,
        precision=precision,
        window_px=content.window_px,
        binning=content.binning,
        object_pixel_size_m=content.object_pixel_size_m,
        probe_sha256=MemberEntry.of(PROBE_FILE, npy_bytes(content.probe)).sha256,
        recipe=content.training.recipe,
        seed=content.training.seed,
        version=content.versions["wnet-edge"],
        created=content.created,
    )


def describe(model: onnx.ModelProto, facts: GraphFacts) -> None:
    """Write the facts into a model, in place of whatever it said; same facts, same bytes."""
    texts = {
        "model": facts.model,
        "precision": facts.precision.value,
        "input": "counts a pixel, masked pixels negative",
        "output_amplitude": "relative to its illumination-weighted RMS",
        "output_phase": "rad, relative to its illumination-weighted mean",
        "window_px": str(facts.window_px),
        "binning": str(facts.binning),
        "object_pixel_size_m": repr(facts.object_pixel_size_m),
        "probe_sha256": facts.probe_sha256,
        "training_recipe": facts.recipe,
        "training_seed": str(facts.seed),
        "wnet_edge_version": facts.version,
        "created": facts.created,
    }
    del model.metadata_props[:]
    for key in sorted(texts):
        model.metadata_props.add(key=key, value=texts[key])
