"""INT8 layouts of the zoo's networks on this processor: time over FP32's, and what is computed.

    python benchmarks/int8_layouts.py

Prints a table for docs/precisions.md. Safe: with ONNX Runtime's x64 precision mode; naive: without.
The unsigned layouts as one integer path, `int8` with all layers quantised.
"""

import time

import numpy as np
import onnx
import onnxruntime

from wnet_edge.calibration.ranges import RangeMethod, find_ranges
from wnet_edge.embedded import EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.export.graph import serialise
from wnet_edge.export.held_out import held_out
from wnet_edge.export.int8.layers import named
from wnet_edge.export.int8.quantise import LAYOUTS, Scheme, quantised
from wnet_edge.export.options import Material
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.export.trace import export_fp32
from wnet_edge.io.scan_file import open_scan
from wnet_edge.judging.yardstick import phase_rms_rad
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.session_settings import X64_PRECISION, session_settings
from wnet_edge.training.checkpoint import load_network

BATCH = 8
ROUNDS = 15
MODES = {"safe": {X64_PRECISION: True}, "naive": {}}


def main():
    scan = open_scan(EXAMPLE_SCAN)
    print(f"{processor_name()}, one thread, batch {BATCH}\n")  # noqa: T201
    head = ["", "layout", "time / FP32, safe", "naive", "phase RMS from FP32, safe", "naive"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")  # noqa: T201
    for model in ModelName:
        for row in rows(scan, model):
            print(f"| {' | '.join(row)} |", flush=True)  # noqa: T201


def rows(scan, model):
    """A row for each layout of one network."""
    network, loaded = load_network(zoo_checkpoint(model.value))
    place = loaded.instrument
    split = held_out(Material(scan), place)
    counts, judged = split.counts, split.selection.part
    graph = serialise(named(onnx.load_from_string(export_fp32(network, place.window_px))))
    fp32 = patches_on_processor(graph, judged.counts)
    ranges = find_ranges(graph, counts, RangeMethod.MINMAX)
    for layout in LAYOUTS:
        small = quantised(graph, ranges, Scheme(layout, whole=layout is not Precision.INT8))
        ratios = timed(graph, small, counts[:BATCH])
        rms = {
            name: phase_rms_rad(judged, patches_on_processor(small, judged.counts, mode), fp32)
            for name, mode in MODES.items()
        }
        yield [
            model.value,
            layout.value,
            *(f"{ratios[name]:.2f}" for name in MODES),
            *(f"{rms[name]:.3f} rad" for name in MODES),
        ]


def timed(graph, small, counts):
    """Median time of the INT8 graph over that of FP32, by mode; all timed in turn."""
    sessions = {"fp32": session(graph, {})} | {
        name: session(small, mode) for name, mode in MODES.items()
    }
    seconds = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, one in sessions.items():
            start = time.perf_counter()
            one.run(None, {"counts": counts})
            seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(values[2:])) for name, values in seconds.items()}
    return {name: median[name] / median["fp32"] for name in MODES}


def session(graph, mode):
    """As the runner sets it up, on one thread."""
    settings = session_settings(1, mode)
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
