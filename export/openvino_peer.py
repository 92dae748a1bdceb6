"""A package's graph in OpenVINO, to compare its speed with ONNX Runtime.

OpenVINO reads the same ONNX bytes as ONNX Runtime, no files are converted. Only the signed
activations of INT8 graphs are written as unsigned ones, which changes no value.
"""

from importlib.metadata import version

import numpy as np
import openvino
from numpy.typing import NDArray

from wnet_edge.errors import PeerError
from wnet_edge.export.int8.unsigned import unsigned_activations
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.graph.run_settings import RunSettings


def processor_capabilities() -> tuple[str, ...]:
    """What OpenVINO computes in on this processor: FP32, INT8, BF16 and others."""
    return tuple(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def openvino_run(
    package: Package, run_settings: RunSettings, *, bfloat16: bool = False
) -> RunFrames:
    """Compile a graph for the CPU, for the fixed batch size of the run settings.

    What is in float stays FP32 unless `bfloat16` is given: by default OpenVINO would use bfloat16
    where the processor has it.

    Args:
        package: package of the graph.
        run_settings: settings on the CPU; 0 threads leaves their number to OpenVINO.
        bfloat16: compute in bfloat16. A processor without it would compute in FP32 all the same.

    Raises:
        PeerError: if OpenVINO can't read or compile the graph.
    """
    options: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
    }
    if run_settings.threads:
        options["INFERENCE_NUM_THREADS"] = run_settings.threads
    core = openvino.Core()
    edge = package.manifest.window_px
    graph = package.graphs[run_settings.precision]
    if run_settings.precision is Precision.INT8:
        graph = unsigned_activations(graph)
    try:
        model = core.read_model(model=graph)
        model.reshape([run_settings.batch_size, 1, edge, edge])
        request = core.compile_model(model, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise PeerError(
            f"OpenVINO {version('openvino')} can't run the {run_settings.precision.value} graph of "
            f"{package.path} ({' '.join(str(error).split())[:200]})"
        ) from error

    def run(counts: NDArray[np.float32]) -> PatchArrays:
        found = request.infer({"counts": counts})
        return found["amplitude"], found["phase"]

    return run
