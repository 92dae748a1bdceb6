"""Session options of ONNX Runtime, shared by the runner and by export's measurements.

The same in both, so that a measured retention is what a user gets.
"""

import os
from collections.abc import Mapping

import onnxruntime

from wnet_edge.package.manifest import Setting
from wnet_edge.runner.graph.processor import has_vnni

X64_PRECISION = "x64quantprecision"
"""Setting of a quantised graph: True makes ONNX Runtime avoid 16-bit saturation on x64 processors
without VNNI (its `session.x64quantprecision`). With VNNI nothing saturates, and the option is not
set, as it would only cost time."""

_EXTERNAL_WEIGHTS = "session.model_external_initializers_file_folder_path"
_SPINNING = "session.intra_op.allow_spinning"
_MODEL_FORMAT = "session.load_model_format"
_FATAL_ONLY = 4
"""Log severity of ONNX Runtime: errors are raised as well as logged, and reported in one line."""


def run_options() -> onnxruntime.RunOptions:
    """Run options without logging; setting their attribute `terminate` stops the runs."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL_ONLY
    return options


def session_settings(
    threads: int, quantisation: Mapping[str, Setting] | None, *, compiled: bool = False
) -> onnxruntime.SessionOptions:
    """Session options for one graph.

    Args:
        threads: number of CPU threads; 0 leaves it to ONNX Runtime.
        quantisation: quantisation settings of the graph in the manifest; None for FP32.
        compiled: whether ONNX Runtime has already optimised the graph; it is not repeated then.
    """
    # For messages outside any session, such as a provider that can't be loaded.
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.use_deterministic_compute = True
    if compiled:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Threads that spin between batches take CPU time from reading and stitching.
    settings.add_session_config_entry(_SPINNING, "0")
    settings.log_severity_level = _FATAL_ONLY
    # A graph may refer to external weight files, which the package's hashes do not cover: let ONNX
    # Runtime look for them where no file can be.
    settings.add_session_config_entry(_EXTERNAL_WEIGHTS, os.devnull)
    # The graph that was checked on opening is ONNX; ONNX Runtime's own format is not accepted.
    settings.add_session_config_entry(_MODEL_FORMAT, "ONNX")
    asked = quantisation is not None and quantisation.get(X64_PRECISION) is True
    if asked and not has_vnni():
        settings.add_session_config_entry(f"session.{X64_PRECISION}", "1")
    return settings
