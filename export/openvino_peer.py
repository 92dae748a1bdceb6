"""A package's graph in OpenVINO, to compare its speed with ONNX Runtime.

OpenVINO reads the same ONNX bytes as ONNX Runtime; no files are converted.
"""

from importlib.metadata import version

import numpy as np
import openvino
from numpy.typing import NDArray

from wnet_edge.errors import PeerError
from wnet_edge.package.golden import Patches
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.graph.run_settings import RunSettings


def openvino_run(package: Package, run_settings: RunSettings) -> RunFrames:
    """Compile a graph for the CPU, for the fixed batch size of the run settings.

    FP32 stays FP32: by default OpenVINO would use bfloat16 where the processor supports it.

    Args:
        package: package of the graph.
        run_settings: settings on the CPU; 0 threads leaves their number to OpenVINO.

    Raises:
        PeerError: if OpenVINO can't read or compile the graph.
    """
    options: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if run_settings.threads:
        options["INFERENCE_NUM_THREADS"] = run_settings.threads
    core = openvino.Core()
    edge = package.manifest.window_px
    try:
        model = core.read_model(model=package.graphs[run_settings.precision])
        model.reshape([run_settings.batch_size, 1, edge, edge])
        request = core.compile_model(model, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise PeerError(
            f"OpenVINO {version('openvino')} can't run the {run_settings.precision.value} graph of "
            f"{package.path} ({' '.join(str(error).split())[:200]})"
        ) from error

    def run(counts: NDArray[np.float32]) -> Patches:
        found = request.infer({"counts": counts})
        return found["amplitude"], found["phase"]

    return run
