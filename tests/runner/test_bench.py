"""`wnet-edge bench`: what it times, in what it tells it, and where it refuses. Never how long."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tiny import content, simple_graph

from wnet_edge.cli import bench as bench_command
from wnet_edge.embedded import find_package
from wnet_edge.errors import PackageError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.measuring.bench import batches_to_time, precisions_to_time
from wnet_edge.runner.measuring.end_to_end import EndToEnd, raster_px
from wnet_edge.runner.measuring.interleaved import WARM_UP, Contestant, time_in_turn
from wnet_edge.runner.measuring.node_profile import (
    Convolutions,
    by_operator,
    convolutions_run,
    misplaced,
    node_times,
    profile_graph,
)

CPU = RunSettings(Precision.FP32, Provider.CPU, 1, 2)
QUANTILES = {"p50_ms", "p95_ms", "p99_ms", "min_ms", "frames_per_second", "ratio"}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with two tiny packages, `a.wnet` and `b.wnet`, the second with INT8 too."""
    monkeypatch.chdir(tmp_path)
    write_package(Path("a.wnet"), content())
    source = content()
    graph, outputs = source.graphs[Precision.FP32], source.golden.outputs[Precision.FP32]
    kinds = (Precision.FP32, Precision.INT8)
    second = dataclasses.replace(
        source,
        graphs=dict.fromkeys(kinds, graph),
        golden=GoldenFrames(source.golden.counts, dict.fromkeys(kinds, outputs)),
        tolerance=dict.fromkeys(kinds, Tolerance(1e-5, 1e-5, 1e-5)),
    )
    write_package(Path("b.wnet"), second)
    write_package(Path("fixed.wnet"), content(simple_graph(8, batch=4), batch_size=4))
    return tmp_path


def bench(call, *arguments):
    """The object that `--json` prints."""
    code, out, err = call("bench", *arguments, "--runs", 3, "--provider", "cpu", "--json")
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


def test_everything_takes_its_turn_and_warm_up_does_not_count():
    turns = []
    contestants = [
        Contestant(lambda: turns.append("a")),
        Contestant(lambda: turns.append("b"), lambda: turns.append("before b")),
    ]
    frames = []
    latencies = time_in_turn(contestants, frames=4, rounds=2, progress=frames.append)
    assert turns == ["a", "before b", "b"] * (WARM_UP + 2)
    assert frames == [4] * 2 * (WARM_UP + 2)
    for one in latencies:
        assert 0 < one.min_ms <= one.p50_ms <= one.p95_ms <= one.p99_ms
        assert one.frames_per_second == pytest.approx(1000 / one.p50_ms)


def test_times_are_a_frame_and_of_the_rounds_that_count(monkeypatch):
    # A clock that a run moves on: seconds of warm-up, then 2, 4 and 6.
    seconds = iter([100.0] * WARM_UP + [2.0, 4.0, 6.0])
    now = [0.0]
    monkeypatch.setattr("wnet_edge.runner.measuring.interleaved.perf_counter", lambda: now[0])

    def run():
        now[0] += next(seconds)

    (latency,) = time_in_turn([Contestant(run)], frames=2, rounds=3)
    assert (latency.min_ms, latency.p50_ms) == (1000, 2000)
    assert latency.p95_ms == pytest.approx(2900)
    assert latency.p99_ms == pytest.approx(2980)


@pytest.mark.usefixtures("tiny")
def test_json_holds_machine_packages_and_a_row_a_contestant_and_batch(call):
    values = bench(call, "a.wnet", "b.wnet", "--batch", 1, "--batch", 2)
    assert {"command_line", "date", "device", "versions"} <= set(values)
    assert values["device"]["processor"]
    assert {"python", "onnxruntime", "wnet-edge", "numpy"} == set(values["versions"])
    assert values["date"].endswith("+00:00")
    assert (values["threads"], values["runs"], values["warm_up_runs"]) == (1, 3, WARM_UP)
    assert [one["name"] for one in values["packages"]] == ["a", "b"]
    for one in values["packages"]:
        assert one["sha256"] == open_package(Path(one["path"])).sha256
    rows = values["results"]
    assert [(row["package"], row["batch_size"]) for row in rows] == [
        *[("a", 1), ("b", 1)],
        *[("a", 2), ("b", 2)],
    ]
    for row in rows:
        assert (row["precision"], row["runtime"], row["provider"]) == ("fp32", "onnxruntime", "cpu")
        for part in ("graph", "end_to_end"):
            first = next(r for r in rows if r["batch_size"] == row["batch_size"])[part]
            assert set(row[part]) == QUANTILES
            assert row[part]["ratio"] == pytest.approx(row[part]["p50_ms"] / first["p50_ms"])
    assert values["misplaced"] == values["profile"] == values["notes"] == []
    assert values["convolutions"] == []  # no graph is quantised


@pytest.mark.usefixtures("tiny")
def test_the_table_has_a_line_a_batch_and_a_column_a_contestant(call):
    code, out, err = call(
        *("bench", "a.wnet", "b.wnet", "--precision", "fp32", "--precision", "int8"),
        *("--batch", 2, "--runs", 2, "--provider", "cpu", "--profile"),
    )
    assert (code, err) == (0, "")
    header = next(line for line in out.splitlines() if line.startswith("batch"))
    columns = [column.strip() for column in header.split("  ") if column]
    assert columns == ["batch", "a fp32 cpu", "b fp32 cpu", "b int8 cpu"]
    assert out.count("\n2      ") == 2
    assert out.count("×") == 1 + 2 * 2
    assert "operators of a fp32 cpu, batch 2:" in out
    assert {"Relu", "Tanh"} <= set(out.split())


@pytest.mark.usefixtures("tiny")
def test_output_is_a_file_that_is_not_replaced_unasked(call):
    arguments = ("bench", "a.wnet", "--batch", 1, "--runs", 1, "-o", "bench.json")
    assert call(*arguments)[0] == 0
    assert json.loads(Path("bench.json").read_text("utf-8"))["packages"][0]["name"] == "a"
    code, _, err = call(*arguments)
    assert (code, "exists already; replace it with --force" in err) == (1, True)
    assert call(*arguments, "--force")[0] == 0


def test_ptychonn_and_w3_are_there_to_be_timed():
    opened = [open_package(find_package(name)) for name in bench_command.DEFAULT_PACKAGES]
    assert [package.manifest.model for package in opened] == ["ptychonn", "w3"]
    assert precisions_to_time(opened[0], (), Provider.CPU) == (Precision.FP32,)


@pytest.mark.usefixtures("tiny")
def test_precisions_are_those_that_a_package_holds():
    first, second = (open_package(Path(name)) for name in ("a.wnet", "b.wnet"))
    asked = (Precision.FP32, Precision.INT8, Precision.FP32)
    assert precisions_to_time(first, asked, Provider.CPU) == (Precision.FP32,)
    assert precisions_to_time(second, asked, Provider.CPU) == (Precision.FP32, Precision.INT8)
    with pytest.raises(PackageError, match="holds no int8 graph; choose from fp32"):
        precisions_to_time(first, (Precision.INT8,), Provider.CPU)


@pytest.mark.usefixtures("tiny")
def test_batches_of_a_fixed_package_are_its_multiples(call):
    fixed, free = open_package(Path("fixed.wnet")), open_package(Path("a.wnet"))
    assert batches_to_time([free], ()) == (1, 2, 4, 8, 16, 64)
    assert batches_to_time([free, fixed], ()) == (4, 8, 16, 64)
    assert batches_to_time([fixed], (8, 4, 8)) == (8, 4)
    code, _, err = call("bench", "fixed.wnet", "--batch", 4, "--batch", 6)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "take 4 frames at once, which 6 is not a multiple of; give --batch 4" in err
    assert bench(call, "fixed.wnet", "--batch", 8)["results"][0]["batch_size"] == 8


@pytest.mark.parametrize(
    "arguments",
    [("--batch", 0), ("--batch", 5000), ("--runs", 0), ("--threads", -1), ("--precision", "fp8")],
)
@pytest.mark.usefixtures("tiny")
def test_bad_options_are_usage(call, arguments):
    code, _, err = call("bench", "a.wnet", *arguments)
    assert (code, "Invalid value for" in err) == (2, True)


@pytest.mark.usefixtures("tiny")
def test_end_to_end_goes_on_when_the_raster_is_full(monkeypatch):
    monkeypatch.setattr("wnet_edge.runner.measuring.end_to_end._SCAN_FRAMES", 5)
    package = open_package(Path("a.wnet"))
    with EndToEnd(package, OpenGraph(package, CPU).run, 2) as flow:
        with pytest.raises(ValueError, match="make_room comes first"):
            flow.run()
        for _ in range(7):
            flow.make_room()
            flow.run()
    assert flow.frames.shape == (2, 16, 16)
    assert flow.frames.min() >= 0


def test_the_raster_has_a_place_a_frame():
    positions = raster_px(10, 4.0)
    assert positions.shape == (10, 2)
    assert len(np.unique(np.round(positions), axis=0)) == 10


@pytest.mark.usefixtures("tiny")
def test_the_profile_has_every_node_with_its_shapes():
    nodes = profile_graph(open_package(Path("a.wnet")), CPU, 2, runs=2)
    assert sorted(node.operator for node in nodes) == ["Relu", "Tanh"]
    for node in nodes:
        assert node.provider == "CPUExecutionProvider"
        assert node.input_shapes == node.output_shapes == ((2, 1, 8, 8),)
    assert misplaced(nodes, Provider.CPU) == ()
    assert misplaced(nodes, Provider.CUDA) == nodes


def event(name, operator, provider, microseconds, index):
    """As ONNX Runtime's profiler writes one run of a node."""
    told = {"op_name": operator, "provider": provider, "node_index": str(index)}
    shapes = {"input_type_shape": [{"float": [1, 3]}, {"float": []}], "output_type_shape": []}
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": microseconds,
        "args": told | shapes,
    }


def test_a_profile_says_where_nodes_ran_and_for_how_long():
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    events = [
        {"cat": "Session", "name": "model_run", "dur": 9, "args": {}},
        *(event("conv", "Conv", cuda, ms, 0) for ms in (9000, 1000, 7000, 2000)),
        # Without names, nodes are told apart by their number.
        *(event("", "Resize", cpu, ms, 1) for ms in (9000, 500, 500)),
        *(event("", "Conv", cuda, ms, 2) for ms in (9000, 500, 500)),
    ]
    nodes = node_times(events, warm_up=1)
    assert [(n.operator, n.provider, n.ms) for n in nodes] == [
        ("Conv", cuda, 2.0),
        ("Resize", cpu, 0.5),
        ("Conv", cuda, 0.5),
    ]
    assert nodes[0].input_shapes == ((1, 3), ())
    assert convolutions_run(nodes) == Convolutions(in_integers=0, all=2)
    merged = dataclasses.replace(nodes[0], operator="QLinearConv")
    assert convolutions_run((merged, *nodes[1:])) == Convolutions(in_integers=1, all=2)
    assert misplaced(nodes, Provider.CUDA) == (nodes[1],)
    first, second = by_operator(nodes)
    assert (first.operator, first.calls, first.ms) == ("Conv", 2, 2.5)
    assert (second.operator, second.share) == ("Resize", pytest.approx(1 / 6))


@pytest.mark.usefixtures("tiny")
def test_nodes_that_land_elsewhere_are_told_of_and_fail_strict(call, nvidia):
    nvidia(card=True, driver=True)
    arguments = ("bench", "a.wnet", "--batch", 1, "--runs", 1, "--provider", "cuda", "--json")
    code, out, err = call(*arguments)
    assert code == 0
    line = "a.wnet: 2 nodes of fp32 do not run on cuda: "
    assert line in err
    found = json.loads(out.splitlines()[-1])["misplaced"]
    assert {one["operator"] for one in found} == {"Relu", "Tanh"}
    assert {one["placed_on"] for one in found} == {"CPUExecutionProvider"}
    assert found[0]["package"] == "a"
    code, out, err = call(*arguments, "--strict")
    assert code == 1
    assert len(json.loads(out.splitlines()[-1])["misplaced"]) == 2
    assert f"Error: {line}" in err


@pytest.mark.usefixtures("tiny")
def test_strict_is_content_where_every_node_is_at_home(call):
    assert bench(call, "a.wnet", "--batch", 1, "--strict")["misplaced"] == []
