"""That each gate trips: what it measures is made worse on purpose, and the gate has to say so."""

import time

import numpy as np
import pytest

from benchmarks import test_cost
from benchmarks.gates import GATES, GateError, baseline, hold
from benchmarks.test_accuracy import agreement
from benchmarks.test_latency import (
    PRECISIONS_BATCH,
    latency_ms,
    one_thread_graph,
    ratio_of_networks,
)
from benchmarks.test_retention import excess
from wnet_edge.judging.yardstick import Loss
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.stitching.stitcher import Stitcher

ROUNDS = 10


def slower(run, times):
    """The same, done over and over."""

    def again(counts):
        for _ in range(times):
            result = run(counts)
        return result

    return again


def slower_method(run, times):
    """The same of a method."""
    return lambda graph, counts: slower(lambda some: run(graph, some), times)(counts)


def busy(seconds):
    """Keeps a core from anything else."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("batch", [1, 8])
def test_a_slower_w3(batch):
    runs = {name: one_thread_graph(name).run for name in ("w3", "ptychonn")}
    runs["w3"] = slower(runs["w3"], 2)
    with pytest.raises(GateError, match=f"w3_over_ptychonn_batch_{batch} is"):
        hold(f"w3_over_ptychonn_batch_{batch}", ratio_of_networks(runs, batch, ROUNDS)[0])


@pytest.mark.parametrize(("precision", "times"), [(Precision.FP16, 2), (Precision.INT8, 2)])
def test_a_slower_precision(precision, times):
    runs = {"fp32": one_thread_graph("w3").run}
    runs["small"] = slower(one_thread_graph("w3", precision).run, times)
    ms = latency_ms(runs, PRECISIONS_BATCH, ROUNDS)
    with pytest.raises(GateError, match=f"w3_{precision.value}_over_fp32 is"):
        hold(f"w3_{precision.value}_over_fp32", ms["small"] / ms["fp32"])


def test_a_slower_host(monkeypatch):
    add = Stitcher.add

    def slow(stitcher, positions_px, amplitude, phase, scale):
        busy(4e-4 * len(scale))
        add(stitcher, positions_px, amplitude, phase, scale)

    monkeypatch.setattr(Stitcher, "add", slow)
    with pytest.raises(GateError, match="host_share_over_kernel is"):
        hold("host_share_over_kernel", test_cost.host_share()[0])


def test_a_slower_and_a_larger_start(tmp_path):
    # Python runs it before anything else of the new process.
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "end = time.thread_time() + 2.5\n"
        "while time.thread_time() < end:\n"
        "    pass\n"
        "kept = b'1' * (150 << 20)\n"
    )
    ratio, costs = test_cost.cold_start({"PYTHONPATH": str(tmp_path)})
    with pytest.raises(GateError, match="cold_start_over_kernel is"):
        hold("cold_start_over_kernel", ratio)
    with pytest.raises(GateError, match="peak_memory_mib is"):
        hold("peak_memory_mib", costs[0].peak_mib)


def test_a_slower_network_in_infer(monkeypatch):
    monkeypatch.setattr(OpenGraph, "run", slower_method(OpenGraph.run, 5))
    ratio = test_cost.frames_a_kernel() / baseline("test_throughput", "frames_a_kernel")
    with pytest.raises(GateError, match="throughput_over_baseline is"):
        hold("throughput_over_baseline", ratio)


def test_a_wrong_image(monkeypatch):
    run = OpenGraph.run

    def blurred(graph, counts):
        amplitude, phase = run(graph, counts)
        return amplitude, (phase + np.roll(phase, 5, axis=-1)) / 2

    monkeypatch.setattr(OpenGraph, "run", blurred)
    with pytest.raises(GateError, match="stitched_phase_correlation is"):
        hold("stitched_phase_correlation", agreement("whole")["phase_correlation"])


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_lossy_precision(precision):
    allowed = GATES["retention"][precision.value]
    fp32 = {"stitched_phase_correlation": 0.95}

    def over(ssim=0.0, psnr_db=0.0, correlation=0.0):
        small = {"stitched_phase_correlation": 0.95 - correlation}
        return excess(fp32, small, Loss(ssim, psnr_db), "w3", precision)

    assert not over()
    assert "max_ssim_drop" in over(ssim=1.01 * allowed["max_ssim_drop"])
    assert "max_psnr_drop_db" in over(psnr_db=1.01 * allowed["max_psnr_drop_db"])
    assert "max_correlation_drop" in over(correlation=1.01 * allowed["max_correlation_drop"])


def test_nan_is_beyond_any_threshold():
    with pytest.raises(GateError):
        hold("peak_memory_mib", float("nan"))
