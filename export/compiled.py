"""Compiled packages: graphs that ONNX Runtime has already optimised for this device.

The optimisations of every session start (constant folding, fusion, weight layout for the
processor's vector units) are done once and stored as ONNX: starting takes less time, running the
same. The patches are checked against the portable package's golden ones before anything is written.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import serialise
from wnet_edge.package.manifest import Compiled, Precision
from wnet_edge.package.opening import Package
from wnet_edge.package.packing import Graph, PackageContent, content_of, pack, write_package
from wnet_edge.package.signature import PrivateKey
from wnet_edge.runner.choosing.choice import opening_fault
from wnet_edge.runner.graph.compiled_here import mark_compiled
from wnet_edge.runner.graph.golden import golden_deviation, golden_fault
from wnet_edge.runner.graph.open_graph import OpenGraph, package_settings
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings


def compile_package(
    package: Package, output: Path, *, force: bool, key: PrivateKey | None = None
) -> Package:
    """Compile a package for this device: it starts faster here, and runs nowhere else.

    Args:
        package: a portable package.
        output: package file to write.
        force: replace an existing file.
        key: key to sign it with; None for no signature.

    Raises:
        ExportError: if the package is already compiled, a compiled graph gives other patches, or
            the user's cache, where compiled graphs are registered, can't be written.
        ProviderError: if the provider fails.
        PackageError: if the package can't be written.
    """
    if package.manifest.compiled is not None:
        raise ExportError(f"{package.path}: is compiled already; name the package it was made from")
    has_cuda = opening_fault(package, Provider.CUDA) is None
    provider = Provider.CUDA if has_cuda else Provider.CPU
    content = _content(package, provider)
    compiled = pack(content)
    for graph in compiled.graphs.values():
        mark_compiled(graph)
    for precision in content.graphs:
        deviation = golden_deviation(
            compiled, OpenGraph(compiled, RunSettings(precision, provider))
        )
        fault = golden_fault(package, precision, deviation)
        if fault is not None:
            raise ExportError(
                f"{package.path}: compiled for this device, {precision.value} is wrong: {fault}; "
                "use the portable package"
            )
    return write_package(output, content, force=force, key=key)


def _content(package: Package, provider: Provider) -> PackageContent:
    return replace(
        content_of(package),
        graphs={kind: _compiled(package, kind, provider) for kind in package.graphs},
        compiled=Compiled(
            provider=provider.value,
            onnxruntime=onnxruntime.__version__,
            processor=processor_name(),
            source_sha256=package.sha256,
        ),
    )


def _compiled(package: Package, precision: Precision, provider: Provider) -> Graph:
    """The graph as optimised by ONNX Runtime on creation of a session."""
    entry = package.manifest.precisions[precision]
    run_settings = RunSettings(precision, provider)
    settings = package_settings(package, run_settings)
    with TemporaryDirectory() as folder:
        path = Path(folder) / precision.file
        settings.optimized_model_filepath = str(path)
        OpenGraph(package, run_settings, settings)
        model = onnx.load(path)
    # ONNX Runtime's numbering of fused nodes varies from run to run; renamed for the same bytes.
    for number, node in enumerate(model.graph.node):
        node.name = str(number)
    return Graph(serialise(model), entry.opset, entry.quantisation, entry.retention)
