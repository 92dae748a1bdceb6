"""How ONNX Runtime is set up for a graph, in the runner and wherever export measures one.

The same settings in both, or a measured retention would not be what a user gets.
"""

import os
from collections.abc import Mapping

import onnxruntime

from wnet_edge.package.manifest import Setting
from wnet_edge.runner.graph.processor import has_vnni

X64_PRECISION = "x64quantprecision"
"""Setting of a quantised graph: True has ONNX Runtime multiply without 16-bit saturation on x64
processors that lack VNNI (its `session.x64quantprecision`). With VNNI nothing saturates, and the
setting, left out there, would only take time."""

_EXTERNAL_WEIGHTS = "session.model_external_initializers_file_folder_path"
_SPINNING = "session.intra_op.allow_spinning"
_MODEL_FORMAT = "session.load_model_format"
_FATAL_ONLY = 4
"""Severity of ONNX Runtime's log: it raises what it logs, and that is told in one line."""


def run_options() -> onnxruntime.RunOptions:
    """Of one run or several: quiet, and to be stopped by their attribute `terminate`."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL_ONLY
    return options


def session_settings(
    threads: int, quantisation: Mapping[str, Setting] | None, *, compiled: bool = False
) -> onnxruntime.SessionOptions:
    """Settings for one graph.

    Args:
        threads: of the processor; 0 leaves the number to ONNX Runtime.
        quantisation: the graph's entry in the manifest.
        compiled: whether ONNX Runtime has optimised the graph already; it is not done again.
    """
    # Of what is not of one session, a provider that can't be loaded say.
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.use_deterministic_compute = True
    if compiled:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Threads that spin between two batches take the cores from reading and stitching.
    settings.add_session_config_entry(_SPINNING, "0")
    settings.log_severity_level = _FATAL_ONLY
    # A graph may name files for its weights, and no hash of the package covers those: look for them
    # where no file can be.
    settings.add_session_config_entry(_EXTERNAL_WEIGHTS, os.devnull)
    # What was looked at when the package was opened was ONNX, not ONNX Runtime's own format.
    settings.add_session_config_entry(_MODEL_FORMAT, "ONNX")
    asked = quantisation is not None and quantisation.get(X64_PRECISION) is True
    if asked and not has_vnni():
        settings.add_session_config_entry(f"session.{X64_PRECISION}", "1")
    return settings
