"""Which way a package is run where it was left open: what was measured, else what is safe."""

import dataclasses
import json
import os
import re

import pytest
from tiny import content, several_precisions

from wnet_edge.errors import ResultError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.choosing.tune_record import (
    TimedSettings,
    TuneRecord,
    read_record,
    record_path,
    room_for,
    write_record,
)
from wnet_edge.runner.graph.device import this_device
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions, RunSettings

INT8_FIRST = (
    TimedSettings(RunSettings(Precision.INT8, Provider.CPU, 2, 8), 0.5),
    TimedSettings(RunSettings(Precision.INT8, Provider.CPU, 1, 8), 0.6),
    TimedSettings(RunSettings(Precision.FP32, Provider.CPU, 1, 16), 1.0),
)


@pytest.fixture
def package(tmp_path):
    kinds = (Precision.FP32, Precision.INT8)
    return write_package(tmp_path / "two.wnet", several_precisions(*kinds))


def tuned(package, timed=INT8_FIRST):
    path = room_for(package)
    write_record(TuneRecord(package.sha256, this_device(), 0.1, timed), path)
    return path


def test_without_a_measurement_the_exact_one_is_taken(package):
    chosen = open_best_graph(package, RunnerOptions(provider=Provider.CPU))
    assert chosen.graph.run_settings == RunSettings(Precision.FP32, Provider.CPU, 0, 32)
    assert chosen.warnings == ()


def test_what_was_measured_fastest_is_taken_and_said(package):
    tuned(package)
    chosen = open_best_graph(package, RunnerOptions())
    assert chosen.graph.run_settings == INT8_FIRST[0].run_settings
    assert chosen.reason == (
        "int8 on cpu, 2 threads, 8 frames at once, was the fastest in wnet-edge tune (0.5 ms a "
        "frame); fp32 took 2.00 times as long"
    )


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (RunnerOptions(Precision.FP32), RunSettings(Precision.FP32, Provider.CPU, 1, 16)),
        (RunnerOptions(threads=1), RunSettings(Precision.INT8, Provider.CPU, 1, 8)),
        (RunnerOptions(batch_size=16), RunSettings(Precision.FP32, Provider.CPU, 1, 16)),
        # What was not measured is not guessed from what was.
        (RunnerOptions(batch_size=5), RunSettings(Precision.FP32, Provider.CPU, 0, 5)),
        (
            RunnerOptions(Precision.INT8, threads=7),
            RunSettings(Precision.INT8, Provider.CPU, 7, 32),
        ),
    ],
)
def test_what_was_asked_for_stays(package, asked, taken):
    tuned(package)
    asked = dataclasses.replace(asked, provider=Provider.CPU)
    assert open_best_graph(package, asked).graph.run_settings == taken


def test_another_package_or_device_has_no_record(package, tmp_path, monkeypatch):
    tuned(package)
    other = write_package(tmp_path / "other.wnet", content())
    assert read_record(other) is None
    elsewhere = dataclasses.replace(this_device(), cores=999)
    monkeypatch.setattr("wnet_edge.runner.choosing.tune_record.this_device", lambda: elsewhere)
    assert read_record(package) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1", b'{"a": NaN}', b"\xff" * 10])
def test_a_damaged_record_is_told_of_and_not_used(package, damage):
    path = tuned(package)
    path.write_bytes(damage)
    with pytest.raises(ResultError, match=r"can't be used .*; run wnet-edge tune again"):
        read_record(package)
    chosen = open_best_graph(package, RunnerOptions(provider=Provider.CPU))
    assert chosen.precision is Precision.FP32
    assert str(path) in chosen.warnings[0]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("threads", 100_000, "threads is 100000, not within 0 … 512"),
        ("threads", 2**31, "threads is 2147483648, not within"),
        ("threads", -1, "threads is -1, not within"),
        ("threads", 1.0, "threads is not of type int"),
        ("batch_size", 0, "batch_size is 0, not within 1 … 1024"),
        ("batch_size", 10**12, "batch_size is 1000000000000, not within"),
        ("provider", "npu", "provider is not one of auto, cpu"),
        ("provider", "auto", "provider is auto"),
        ("precision", "fp16", "the package has no fp16"),
        ("precision", ["fp32"], "precision is not one of fp32"),
        ("ms_per_frame", 0.0, "ms_per_frame is 0.0"),
        ("ms_per_frame", -1.0, "ms_per_frame is -1.0"),
        ("ms_per_frame", 1e300, r"ms_per_frame is 1e\+300"),
        ("ms_per_frame", float("nan"), "ms_per_frame is nan|not JSON compliant"),
        ("max_phase_rms_rad", 1e9, "max_phase_rms_rad is 1000000000.0"),
        ("timed", {}, "timed is not a list"),
    ],
)
def test_a_record_that_can_not_be_right_is_ignored_with_a_line(here, call, key, value, told):
    package = open_package(here / "known.wnet")
    path = tuned(package, (TimedSettings(RunSettings(Precision.FP32, Provider.CPU, 1, 8), 0.5),))
    plain = json.loads(path.read_bytes())
    [timed] = plain["timed"]
    place = next(one for one in (timed["run_settings"], timed, plain) if key in one)
    place[key] = value
    path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n", encoding="ascii")
    code, out, err = call("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu")
    assert code == 0, err
    assert "(cpu as asked; fp32 is exact)" in out
    [line] = [line for line in err.splitlines() if "known" not in line or str(path) in line]
    assert line.startswith(f"Warning: scan.cxi: {path}: can't be used (")
    assert re.search(told, line)


def test_a_record_that_is_a_pipe_or_too_large_is_ignored(package):
    path = tuned(package)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ResultError, match=r"can't be used \(a device or a pipe\)"):
        read_record(package)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(ResultError, match="can't be used"):
        read_record(package)


def test_a_record_that_was_put_in_anothers_place_is_not_used(package, tmp_path):
    other = write_package(tmp_path / "other.wnet", content())
    tuned(package).rename(record_path(other.sha256, this_device()))
    with pytest.raises(ResultError, match=r"can't be used \(of another package or device\)"):
        read_record(other)


def test_a_way_that_fails_by_now_is_warned_of(package, nvidia):
    nvidia(card=False, driver=False)
    tuned(
        package,
        (TimedSettings(RunSettings(Precision.FP32, Provider.CUDA, 0, 64), 0.01), *INT8_FIRST),
    )
    chosen = open_best_graph(package, RunnerOptions())
    assert (chosen.provider, chosen.precision) == (Provider.CPU, Precision.FP32)
    fault = "cuda can't be had (no NVIDIA driver here: libcuda.so.1 can't be loaded)"
    assert chosen.reason == f"cpu because {fault}; fp32 is exact"
    assert chosen.warnings == (f"{fault}: wnet-edge doctor says more",)


def test_a_provider_that_computes_otherwise_is_not_taken(package, nvidia):
    # The golden patches are of another graph.
    wrong = dataclasses.replace(
        package,
        golden=GoldenFrames(
            package.golden.counts,
            {kind: (a + 1, p + 1) for kind, (a, p) in package.golden.outputs.items()},
        ),
    )
    nvidia(card=True, driver=True)
    chosen = open_best_graph(wrong, RunnerOptions())
    assert chosen.provider is Provider.CPU
    assert (
        "cuda can't be had (it gives other patches than it should, off by 1 rad)" in chosen.reason
    )
    assert open_best_graph(package, RunnerOptions()).reason == "cuda works here; fp32 is exact"
