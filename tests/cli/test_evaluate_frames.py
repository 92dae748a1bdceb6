"""Which frames of a scan the network explains worst: told, drawn, held against refined ones."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.pictures.drawing import NOTHING
from wnet_edge.pictures.frame_values_panel import frame_values_panel, value_range

FRAMES = "entry_1/instrument_1/detector_1/data"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
SPOILT_WITHIN_M = 0.6e-6
SCAN_247 = ("evaluate", "w3", "--precision", "fp32", "--provider", "cpu", "--data")


@pytest.fixture
def spoilt(tmp_path):
    """Scan 247 with frames of other places in a small region, and their numbers."""
    path = tmp_path / "spoilt.cxi"
    path.write_bytes(EXAMPLE_SCAN.read_bytes())
    with h5py.File(path, "a") as file:
        places_m = file[TRANSLATION][:, :2]
        middle_m = np.median(places_m, axis=0)
        within = np.hypot(*(places_m - middle_m).T) < SPOILT_WITHIN_M
        numbers = np.flatnonzero(within)
        frames = file[FRAMES][()]
        frames[numbers] = np.random.default_rng(0).permutation(frames[~within])[: len(numbers)]
        file[FRAMES][...] = frames
    return path, numbers


def told_as_json(call, *words):
    code, out, err = call(*words, "--json")
    assert code == 0, err
    return json.loads(out.splitlines()[-1])["single_frames"]


def test_frames_of_another_object_are_named_worst(call, spoilt, tmp_path):
    path, numbers = spoilt
    told = told_as_json(call, *SCAN_247, path, "--image", tmp_path / "map.png")
    worst = [one["frame"] for one in told["worst"]]
    assert len(worst) == 10
    assert set(worst) <= set(numbers.tolist())
    r_free = [one["r_free"] for one in told["worst"]]
    assert r_free == sorted(r_free, reverse=True)
    assert r_free[-1] > told["r_free_p95"] > told["r_free_median"]
    assert told["precision"] == "fp32"
    assert told["refinement"] is told["refined"] is None
    with Image.open(told["picture"]) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_the_place_is_that_of_the_result_file(call, tmp_path):
    told = told_as_json(call, *SCAN_247, "example:scan247")
    code, _, err = call("infer", "example:scan247", "-o", tmp_path / "out.h5", "--no-image")
    assert code == 0, err
    with h5py.File(tmp_path / "out.h5") as file:
        data, positions = file["entry/reconstruction"], file["entry/sample/positions"]
        axes_m = data["y"][()], data["x"][()]
        positions_m = np.stack([positions["y"][()], positions["x"][()]], axis=1)
        offset_px = data.attrs["window_offset_px"]
    pixel_m = axes_m[0][1] - axes_m[0][0]
    for one in told["worst"]:
        # The probe's middle is in the middle of the network's window of 64 pixels.
        middle_px = positions_m[one["frame"]] / pixel_m + offset_px + 32
        for axis, name in enumerate(("row_m", "column_m")):
            in_file_m = np.interp(middle_px[axis], np.arange(len(axes_m[axis])), axes_m[axis])
            assert one[name] == pytest.approx(in_file_m, abs=0.1 * pixel_m)


def test_refinement_tells_how_far_the_network_was_off(call, tmp_path):
    pytest.importorskip("scipy")
    alone, both = tmp_path / "alone.png", tmp_path / "both.png"
    told_as_json(call, *SCAN_247, "example:scan247", "--image", alone)
    told = told_as_json(call, *SCAN_247, "example:scan247", "--image", both, "--refine", "3")
    assert told["refinement"]["passes"] == 3
    assert told["refined"]["frames"] == told["frames"] > 300
    assert told["refined"]["r_free_median"] < 0.9 * told["r_free_median"]
    assert all(one["r_free_refined"] < one["r_free"] for one in told["worst"])
    with Image.open(alone) as one, Image.open(both) as two:
        assert two.width > 1.8 * one.width


def test_lines_name_frames_places_and_the_picture(call, tmp_path):
    picture = tmp_path / "map.png"
    code, out, err = call(*SCAN_247, "example:scan247", "--image", picture)
    assert code == 0, err
    assert "R-factor by frame without photon noise, fp32: median 0.09" in out
    assert out.count("\n  frame ") == 10
    assert f"picture: {picture}" in out
    before = picture.read_bytes()
    code, _, err = call(*SCAN_247, "example:scan247", "--image", picture)
    assert code == 1
    assert err == (
        f"Error: {picture}: exists already; replace it with --force or name another file\n"
    )
    assert picture.read_bytes() == before


def test_a_scan_too_small_to_compare_says_so(call, tmp_path):
    picture = tmp_path / "map.png"
    words = (*SCAN_247, "example:scan247", "--frames-range", "0:3", "--image", picture)
    told = told_as_json(call, *words)
    assert told["worst"] == []
    assert (told["frames"], told["r_free_median"]) == (0, None)
    code, out, _ = call(*words, "--force")
    assert code == 0
    assert "no single frame was compared" in out
    assert picture.exists()


def panel(values, ringed=()):
    """Of frames on a raster of 3 × 3 places, 1 µm apart."""
    places_m = 1e-6 * np.stack(np.divmod(np.arange(9), 3), axis=1)
    ringed = np.array(ringed, np.int64)
    made = frame_values_panel("R", places_m, values, value_range(values), ringed, "worst")
    return np.asarray(made.image), [key.text for key in made.legend]


def test_a_bad_frame_is_drawn_in_another_colour_where_it_was_taken():
    values = np.full(9, 0.08)
    even, legend = panel(values)
    assert legend == ["axes: µm", "worst"]
    values[5] = 0.2  # second row, third column
    spoilt, _ = panel(values)
    rows, columns = np.nonzero((even != spoilt).any(axis=2))
    assert 150 < rows.mean() < 300
    assert columns.mean() > 400


def test_what_was_not_compared_is_grey():
    values = np.linspace(0.05, 0.1, 9)
    values[4] = np.nan
    pixels, legend = panel(values, [8])
    assert "grey: not compared" in legend
    assert (pixels == NOTHING).all(axis=2).sum() > 500
    only, _ = panel(np.full(9, np.nan))
    assert only.shape == pixels.shape
