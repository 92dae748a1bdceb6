"""`wnet-edge tune`: accurate ways are timed and kept, others dropped, and infer takes the best."""

import dataclasses
import json

import numpy as np
import pytest
from onnx import helper, numpy_helper
from tiny import content, onnx_bytes, simple_graph

from wnet_edge.errors import PackageError, ProviderError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import Graph, write_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.choosing.tune import TuneOptions, _ranked, thread_counts, tune
from wnet_edge.runner.choosing.tune_record import (
    TimedSettings,
    TuneRecord,
    read_record,
    room_for,
    write_record,
)
from wnet_edge.runner.graph.device import this_device
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions, RunSettings

QUICK = TuneOptions(provider=Provider.CPU, threads=(1,), batch_sizes=(1, 4), final_rounds=2)


def told(_step):
    pass


@pytest.fixture
def package(tmp_path):
    """FP32, an INT8 that is 0.3 rad off it everywhere, and an FP16 that does not keep its word."""
    source = content()
    counts = source.golden.counts
    amplitude, phase = source.golden.outputs[Precision.FP32]
    turned = onnx_bytes(
        [
            helper.make_node("Relu", ["counts"], ["amplitude"]),
            helper.make_node("Tanh", ["counts"], ["t"]),
            helper.make_node("Add", ["t", "turn"], ["phase"]),
        ],
        8,
        [numpy_helper.from_array(np.array(0.3, np.float32), "turn")],
    )
    exact, other = Graph(simple_graph(8), 20), Graph(turned, 20)
    outputs = {
        Precision.FP32: (amplitude, phase),
        Precision.FP16: (amplitude, phase),
        Precision.INT8: (amplitude, (phase + np.float32(0.3)).astype(np.float32)),
    }
    return write_package(
        tmp_path / "three.wnet",
        dataclasses.replace(
            source,
            graphs={Precision.FP32: exact, Precision.FP16: other, Precision.INT8: other},
            golden=GoldenFrames(counts, outputs),
            tolerance=dict.fromkeys(outputs, Tolerance(1e-5, 1e-5, 1e-5)),
        ),
    )


def test_what_is_not_accurate_is_dropped_with_the_reason(package):
    tuned = tune(package, QUICK, told)
    assert {one.run_settings.precision for one in tuned.record.timed} == {Precision.FP32}
    assert {one.run_settings.batch_size for one in tuned.record.timed} == {1, 4}
    reasons = {one.precision: one.reason for one in tuned.dropped}
    assert reasons[Precision.FP16] == "it gives other patches than it should, off by 0.3 rad"
    assert reasons[Precision.INT8].endswith("0.3 rad RMS from those of fp32, more than 0.1")


def test_a_larger_budget_takes_more(package):
    tuned = tune(package, dataclasses.replace(QUICK, max_phase_rms_rad=0.4), told)
    assert {one.run_settings.precision for one in tuned.record.timed} == {
        Precision.FP32,
        Precision.INT8,
    }


def test_infer_takes_what_tune_kept(package):
    tuned = tune(package, QUICK, told)
    write_record(tuned.record, room_for(package))
    assert read_record(package) == tuned.record
    chosen = open_best_graph(package, RunnerOptions())
    assert chosen.graph.run_settings == tuned.record.timed[0].run_settings
    assert "was the fastest in wnet-edge tune" in chosen.reason


def test_ties_go_to_the_more_exact_and_to_fewer_threads():
    def timed(precision, threads, ms):
        return TimedSettings(RunSettings(precision, Provider.CPU, threads), ms)

    fp16, slow = timed(Precision.FP16, 1, 1.0), timed(Precision.FP32, 1, 1.2)
    two, one = timed(Precision.FP32, 2, 1.01), timed(Precision.FP32, 1, 1.04)
    assert _ranked([slow, two, fp16, one]) == (one, two, fp16, slow)


def test_nothing_left_is_an_error(package):
    only = dataclasses.replace(QUICK, precisions=(Precision.INT8,))
    with pytest.raises(
        ProviderError, match=r"no precision and provider is accurate enough here \(cpu: its phases"
    ):
        tune(package, only, told)
    with pytest.raises(PackageError, match="holds no int8-u8u8 graph"):
        tune(package, dataclasses.replace(QUICK, precisions=(Precision.INT8_U8U8,)), told)
    with pytest.raises(ProviderError, match=r"openvino can't be had \(this onnxruntime has no"):
        tune(package, dataclasses.replace(QUICK, provider=Provider.OPENVINO), told)


def test_a_fixed_batch_is_the_only_one(tmp_path):
    package = write_package(
        tmp_path / "fixed.wnet", content(simple_graph(8, batch=4), batch_size=4)
    )
    tuned = tune(package, QUICK, told)
    assert {one.run_settings.batch_size for one in tuned.record.timed} == {4}


def test_threads_go_up_to_all_cores(monkeypatch):
    monkeypatch.setattr("wnet_edge.runner.choosing.tune.usable_cores", lambda: 6)
    assert thread_counts() == (1, 2, 4, 6)
    monkeypatch.setattr("wnet_edge.runner.choosing.tune.usable_cores", lambda: 1)
    assert thread_counts() == (1,)


def test_command(call, tmp_path, monkeypatch, own_cache):
    monkeypatch.chdir(tmp_path)
    write_package(tmp_path / "tiny.wnet", content())
    quick = ["--threads", 1, "--batch-size", 1, "--batch-size", 2]
    code, out, err = call("tune", "tiny.wnet", "--provider", "cpu", *quick, "--json")
    assert (code, err) == (0, "")
    values = json.loads(out.splitlines()[-1])
    assert {one["batch_size"] for one in values["timed"]} == {1, 2}
    assert values["kept"].startswith(str(own_cache))
    code, out, err = call("tune", "tiny.wnet", "--provider", "cpu", *quick)
    assert out.splitlines()[0].startswith("precision  provider  threads  batch")
    assert out.splitlines()[-1] == f"stored: {values['kept']}"


def test_infer_says_that_it_took_what_was_measured(call, here):
    package = open_package(here / "known.wnet")
    timed = (TimedSettings(RunSettings(Precision.FP32, Provider.CPU, 1, 3), 0.25),)
    record = TuneRecord(package.sha256, this_device(), 0.1, timed)
    write_record(record, room_for(package))
    code, out, _ = call("infer", "scan.cxi", "--package", "known.wnet")
    assert code == 0
    assert "fp32 on cpu, 1 thread, 3 frames at once, was the fastest in wnet-edge tune" in out


def test_a_cache_that_cannot_be_written_is_told_before_any_work(call, tmp_path, monkeypatch):
    package = write_package(tmp_path / "tiny.wnet", content())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("wnet_edge.cli.tune.tune", None)
    code, out, err = call("tune", package.path)
    assert (code, out) == (1, "")
    assert "set XDG_CACHE_HOME to a folder that can be written" in err
