"""Frames in, image out at any time: batch by batch as in `infer`, whether or not all is known."""

import json

import numpy as np
import onnxruntime
import pytest

from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.embedded import EXAMPLE_SCAN, find_package
from wnet_edge.framing.framing import Framing
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import open_package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.image.self_check import FrameSample

UP = Orientation.IDENTITY


@pytest.fixture(scope="module")
def opened():
    package = open_package(find_package("w3"))
    return open_best_graph(package, RunnerOptions(provider=Provider.CPU, threads=1))


@pytest.fixture(scope="module")
def scan(opened):
    return Framing(find_scan(EXAMPLE_SCAN), opened.package).framed(UP, UP).scan


@pytest.fixture(scope="module")
def recorded(scan, opened):
    return infer(scan, opened)


def add(assembler, scan, start, stop):
    frames = np.asarray(scan.frames[start:stop], np.float32)
    assembler.add(frames, scan.positions_m[start:stop], scan.left_out[start:stop])


def image_of(stitched, scan):
    return ObjectImage("image", stitched.image, stitched.coverage, scan.object_pixel_size_m)


@pytest.mark.parametrize("known", [True, False], ids=["extent known", "grows"])
def test_frames_as_they_come_end_in_the_image_of_the_recorded_scan(scan, opened, recorded, known):
    expected_m = scan.positions_m if known else None
    with Assembler(scan.setup, opened.package, opened.graph.run, expected_m) as assembler:
        for start in range(0, scan.frame_count, 37):
            add(assembler, scan, start, start + 37)
        gathered = assembler.finish()
    assembled = gathered.assembled()
    checked = gathered.check(assembled)
    alike = compare(image_of(assembled.stitched, scan), image_of(recorded.stitched, scan))
    assert alike.phase_correlation >= 0.9999
    assert alike.phase_slope == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(assembled.stitched.origin_px, recorded.stitched.origin_px)
    assert assembled.median_counts == recorded.median_counts
    assert checked.trusted
    assert checked.fit.r_factor == pytest.approx(recorded.self_check.fit.r_factor, abs=0.003)


def test_the_image_is_there_before_the_scan_ends(scan, opened, recorded):
    with Assembler(scan.setup, opened.package, opened.graph.run) as assembler:
        add(assembler, scan, 0, 150)
        assembler.relax(150)
        early_frames = assembler.so_far(150)
        add(assembler, scan, 150, scan.frame_count)
        late = assembler.finish().assembled()
    early = early_frames.assembled()
    checked = early_frames.check(early)
    assert early.stitched.image.shape[0] < late.stitched.image.shape[0]
    alike = compare(image_of(early.stitched, scan), image_of(recorded.stitched, scan))
    assert alike.phase_correlation > 0.98
    assert checked.trusted
    alike = compare(image_of(late.stitched, scan), image_of(recorded.stitched, scan))
    assert alike.phase_correlation >= 0.9999


def test_frames_that_judge_a_scan_of_unknown_length_are_spread_over_it():
    sample = FrameSample(None)
    counts = np.zeros((7, 1, 2, 2), np.float32)
    for first in range(0, 7 * 1000, 7):
        sample.add(first, counts)
    numbers = sorted(sample.counts)
    assert 300 <= len(numbers) < 600
    assert set(np.diff(numbers)) == {numbers[1]}
    assert numbers[0] == 0
    assert numbers[-1] > 7000 - 2 * numbers[1]


def test_one_session_serves_all_scans_and_orientations(call, here, monkeypatch):
    opened = []
    create = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: opened.append(a) or create(*a, **k)
    )
    words = ("--package", "known.wnet", "--no-image", "--provider", "cpu", "--orientation", "auto")
    for number in range(10):
        (here / f"{number}.cxi").symlink_to("scan.cxi")
    scans = [f"{number}.cxi" for number in range(10)]
    code, out, err = call("infer", *scans, *words, "-o", "images")
    assert (code, err.count("Error")) == (0, 0)
    assert len([json.loads(line) for line in out.splitlines()]) == 10
    assert len(opened) == 1
