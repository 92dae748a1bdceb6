"""The search for W3's shape: every shape runs, a search resumes, its tables tell what it found."""

import shutil
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks.search_w3.__main__ import main
from benchmarks.search_w3.search import Places, SearchOptions, search, time_anew
from benchmarks.search_w3.shapes import IN_USE, SHAPES, Change, build_shape
from benchmarks.search_w3.table import BEGIN, END, read_records, rows, table, write_page
from benchmarks.search_w3.timing import TimingOptions
from benchmarks.study.plan import EXAMPLE, WINDOW_PX
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import (
    ModelName,
    NetworkInput,
    NetworkSpec,
    build,
    parameter_count,
)

pytestmark = pytest.mark.slow

BRIEF = TimingOptions(rounds=2, repeats=2)
TINY = SearchOptions(96, validation_frames=16, timing=BRIEF)
"""Three steps of training."""


@pytest.fixture
def places(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n{END}\n\nafter\n", "utf-8")
    return Places(
        tmp_path / "results.jsonl", page, tmp_path / "figures" / "f.png", tmp_path / "frames"
    )


def record(name="a", **changes):
    values = {
        "name": name,
        "changes": [],
        "config": {"name": name},
        "frames": 96,
        "seed": 0,
        "parameters": 103_000,
        "latency_ratio": 0.1,
        "simulated_phase_mae_rad": 0.2,
        "simulated_amplitude_mae": 0.05,
        "measured_phase_mae_rad": 0.3,
        "training_cpu_s": 60.0,
    }
    return values | changes


@pytest.fixture(scope="module")
def probe():
    return open_scan(EXAMPLE).probe


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_shape_makes_images_and_is_a_small_network(shape, probe):
    network = build_shape(shape, seed=0, probe=probe, window_px=WINDOW_PX).eval()
    counts = torch.full((1, 1, WINDOW_PX, WINDOW_PX), 10.0)
    with torch.inference_mode():
        amplitude, phase_rad = network(counts)
    assert amplitude.shape == phase_rad.shape == counts.shape
    assert 85_000 < parameter_count(network) < 115_000


@pytest.mark.parametrize("change", list(Change))
def test_a_change_makes_another_network(change, probe):
    counts = torch.rand(1, 1, WINDOW_PX, WINDOW_PX) * 100
    changed = next(shape for shape in SHAPES if change in shape.changes)
    without = replace(changed, changes=tuple(c for c in changed.changes if c is not change))
    with torch.inference_mode():
        phases = [
            build_shape(s, seed=0, probe=probe, window_px=WINDOW_PX).eval()(counts)[1]
            for s in (changed, without)
        ]
    assert not torch.allclose(*phases, atol=1e-6)


def test_the_shape_in_use_is_the_product_s(probe):
    assert IN_USE in SHAPES
    searched = build_shape(IN_USE, seed=0, probe=probe, window_px=WINDOW_PX).eval()
    spec = NetworkSpec(ModelName.W3, NetworkInput.BACK_PROJECTED)
    product = build(spec, seed=0, probe=probe, window_px=WINDOW_PX).eval()
    counts = torch.rand(1, 1, WINDOW_PX, WINDOW_PX) * 100
    with torch.inference_mode():
        torch.testing.assert_close(searched(counts), product(counts))


def test_a_search_is_kept_and_does_nothing_twice_but_the_timing_on_demand(places):
    search(SHAPES[:1], TINY, places)
    (line,) = read_records(places.results)
    assert line["name"] == IN_USE.name
    assert line["steps"] == 3
    assert 0 < line["latency_ratio"] < 1
    assert 0 < line["simulated_phase_mae_rad"] < 3
    assert 0 < line["measured_phase_mae_rad"] < 3
    page = places.page.read_text("utf-8")
    assert f"{line['simulated_phase_mae_rad']:.4f}" in page
    assert page.startswith("before")
    assert page.endswith("after\n")
    assert places.figure.read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(places.frames)
    search(SHAPES[:1], TINY, places)
    assert len(read_records(places.results)) == 1
    assert not places.frames.exists()
    time_anew(BRIEF, places)
    (again,) = read_records(places.results)
    timed = {"latency_ratio", "latency_ratios"}
    assert again.keys() == line.keys()
    assert all(again[key] == line[key] for key in line.keys() - timed)


def test_what_is_neither_faster_nor_better_is_not_pareto_best():
    fast = record("fast", latency_ratio=0.08, simulated_phase_mae_rad=0.3)
    good = record("good", latency_ratio=0.12, simulated_phase_mae_rad=0.1)
    beaten = record("beaten", latency_ratio=0.12, simulated_phase_mae_rad=0.2)
    found = rows([fast, good, beaten], 96)
    assert [(row.name, row.pareto_best) for row in found] == [
        ("good", True),
        ("beaten", False),
        ("fast", True),
    ]


def test_seeds_of_a_shape_are_one_row():
    seeds = [record(seed=0), record(seed=1, simulated_phase_mae_rad=0.1)]
    (row,) = rows(seeds, 96)
    assert row.seeds == 2
    assert row.simulated_phase_mae_rad == pytest.approx(0.15)
    assert "0.1500 ± 0.0500" in table([row], 96)


def test_budgets_of_frames_are_not_mixed(places):
    write_page([record("short", frames=32), record("long", frames=64)], places.page, places.figure)
    page = places.page.read_text("utf-8")
    assert page.index("### 64") < page.index("long") < page.index("### 32") < page.index("short")


def test_the_committed_tables_are_those_of_the_committed_results(places):
    committed = Places()
    shutil.copy(committed.page, places.page)
    write_page(read_records(committed.results), places.page, places.figure)
    text = committed.page.read_text("utf-8")
    assert text == places.page.read_text("utf-8"), "run python -m benchmarks.search_w3 --table"
    assert committed.figure.stat().st_size < 100_000


def test_a_page_without_a_place_for_the_tables_is_refused(places):
    places.page.write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        write_page([record()], places.page, places.figure)


@pytest.mark.parametrize("words", [["--frames", "3"], ["--only", "another"]])
def test_a_bad_call_ends_before_the_search(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search_w3.py", *words])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 2
    assert words[0] in capsys.readouterr().err
