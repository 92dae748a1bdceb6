"""Metadata of a graph, for when it is found without its package.

Written into the `metadata_props` of each graph, which every ONNX tool shows; in ONNX Runtime
`session.get_modelmeta().custom_metadata_map`. The manifest has more and is authoritative.
"""

from dataclasses import dataclass

import onnx

from wnet_edge.package.archive import npy_bytes
from wnet_edge.package.manifest import PROBE_FILE, MemberEntry, Precision
from wnet_edge.package.packing import PackageContent


@dataclass(frozen=True)
class GraphFacts:
    """Metadata written into a graph; see `Manifest` for the fields."""

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
    """Metadata of one graph of a package to be written."""
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
    """Write metadata into a model, in place, replacing earlier metadata; deterministic."""
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
