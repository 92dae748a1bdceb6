"""The picture of a scan: every part it has, and a word where it lacks one, whatever it holds."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import GEOMETRY, KnownScan

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.framing.preview import write_preview
from wnet_edge.io.found import Found, FoundScan, Positions, PositionUnit, ZeroFrequency
from wnet_edge.pictures.drawing import NOTHING, PAPER
from wnet_edge.pictures.frame_panel import frame_panel
from wnet_edge.pictures.panel import BOX
from wnet_edge.pictures.positions_panel import positions_panel
from wnet_edge.pictures.probe_panel import probe_panel
from wnet_edge.pictures.scan_picture import ScanParts, draw_scan_picture

MASKED = (240, 70, 60)


def full_scan(**changes):
    """A scan that has every part."""
    known = KnownScan()
    parts = {
        "path": Path("known.cxi"),
        "format": "known",
        "frames": Found(known.frames, "frames"),
        "positions": Found(Positions(known.corners * 1e-8), "positions"),
        "energy_ev": Found(GEOMETRY.energy_ev, "energy"),
        "distance_m": Found(GEOMETRY.distance_m, "distance"),
        "pixel_size_m": Found(GEOMETRY.detector_pixel_size_m, "pixel"),
        "probe": Found(known.probe, "probe"),
        "beam_centre_px": Found((16.0, 16.0), "centre"),
    }
    return FoundScan(**(parts | changes))


def texts(panel):
    return [key.text for key in panel.legend]


def colours(image):
    return {tuple(colour) for colour in np.asarray(image).reshape(-1, 3).tolist()}


@pytest.fixture
def picture(tmp_path):
    """The picture of a scan that has these parts."""

    def drawn(found):
        path = tmp_path / "preview.png"
        write_preview(path, found, force=True)
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            return np.asarray(image)

    return drawn


def panel_areas(pixels):
    """The three squares (512, 512, 3) in which panels are drawn."""
    assert pixels.shape[1] > 3 * BOX
    assert 3 * BOX > pixels.shape[0] > BOX
    top, left, pitch = 101, 28, (pixels.shape[1] - 2 * 28 + 40) // 3
    starts = [left + k * pitch for k in range(3)]
    return [pixels[top : top + BOX, start : start + BOX].astype(int) for start in starts]


def is_empty(area):
    return (area == NOTHING).all(axis=2).mean() > 0.95


def test_all_panels_are_drawn(picture):
    areas = panel_areas(picture(full_scan()))
    assert not any(map(is_empty, areas))
    assert all(len(colours(area)) > 3 for area in areas)


@pytest.mark.parametrize(
    ("lacking", "empty"),
    [
        ("frames", 0),
        ("positions", 1),
        ("probe", 2),
        ("energy_ev", None),
        ("pixel_size_m", None),
        ("beam_centre_px", None),
    ],
)
def test_what_is_missing_is_said(picture, lacking, empty):
    areas = panel_areas(picture(full_scan(**{lacking: None})))
    assert [is_empty(area) for area in areas] == [k == empty for k in range(3)]


def test_a_scan_of_nothing_has_a_picture(picture):
    areas = panel_areas(picture(FoundScan(Path("none.h5"), "HDF5")))
    assert all(map(is_empty, areas))


def test_every_size_of_picture_is_the_same():
    parts = ScanParts("scan", ("facts",))
    probe = np.ones((9, 5, 5), np.complex64)
    with_all = replace(parts, mean=np.ones((3, 900), np.float32), positions=np.eye(2), probe=probe)
    assert draw_scan_picture(parts).size == draw_scan_picture(with_all).size


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_preview(path, full_scan())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_is_replaced_unasked(tmp_path):
    path = tmp_path / "preview.png"
    path.write_text("mine")
    with pytest.raises(ResultError, match=r"preview\.png: exists already; replace it with --force"):
        write_preview(path, full_scan())
    assert path.read_text() == "mine"
    write_preview(path, full_scan(), force=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_picture_is_whole_or_absent(tmp_path, monkeypatch):
    def half(_, path, **__):
        Path(path).write_bytes(b"\x89PN")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(ResultError, match="No space left on device"):
        write_preview(tmp_path / "preview.png", full_scan())
    assert not list(tmp_path.iterdir())


def test_a_mask_that_does_not_fit_is_refused(tmp_path):
    wrong = Found(np.zeros((3, 3), bool), "mask")
    with pytest.raises(ScanError, match="mask is"):
        write_preview(tmp_path / "preview.png", full_scan(mask=wrong))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("level", [0, 7, 2**32 - 1])
def test_constant_frames(picture, level):
    frames = np.full((3, 12, 20), level, np.uint32)
    areas = panel_areas(picture(full_scan(frames=Found(frames, "frames"))))
    assert not is_empty(areas[0])
    assert (MASKED in colours(areas[0])) == (level == 2**32 - 1)  # no count in any frame


def test_frames_of_floats_with_gaps(picture):
    frames = np.random.default_rng(0).gamma(2, 1e-9, (4, 40, 30))
    frames[:, 5] = np.nan
    assert MASKED in colours(panel_areas(picture(full_scan(frames=Found(frames, "frames"))))[0])


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (128, 128), (514, 1030), (3000, 11)])
def test_frames_of_any_shape_fill_the_panel(shape):
    mean = np.random.default_rng(0).gamma(1, 100, shape).astype(np.float32)
    panel = frame_panel("", mean, np.zeros(shape, bool), None)
    assert max(panel.image.size) == BOX
    aspect = min(shape) / max(shape)
    assert min(panel.image.size) == pytest.approx(max(aspect * BOX, 1), abs=1 + 0.01 * BOX)
    assert texts(panel) == ["no pixel masked"]


def test_frame_colours_are_the_powers_of_ten():
    mean = np.array([[1, 10], [100, 1000]], np.float32)
    mask = np.zeros((2, 2), bool)
    panel = frame_panel("", mean, mask, None)
    assert [label for _, label in panel.scale.ticks] == ["1", "10", "100", "1000"]
    np.testing.assert_allclose([tick for tick, _ in panel.scale.ticks], [0, 1, 2, 3], atol=1e-6)
    assert (panel.scale.low, panel.scale.high) == (0, 3)
    pixels = np.asarray(panel.image)
    assert pixels[100, 100].tolist() == panel.scale.colours[0].tolist()
    assert pixels[400, 400].tolist() == panel.scale.colours[-1].tolist()


def test_masked_pixels_are_marked_and_take_no_colours():
    mean = np.full((8, 8), 5, np.float32)
    mask = np.zeros((8, 8), bool)
    mask[2, 3] = True
    mean[2, 3] = 1e9
    panel = frame_panel("", mean, mask, None)
    pixels = np.asarray(panel.image)
    assert (pixels[129:191, 193:255] == MASKED).all()
    assert not (pixels[:128] == MASKED).all(axis=2).any()
    assert texts(panel) == ["1 px masked"]
    assert panel.scale.high == pytest.approx(np.log10(5))


@pytest.mark.parametrize(
    ("centre", "said"),
    [
        ((4.0, 2.0), "beam centre"),
        ((0, 0), "beam centre"),
        ((7.4, 7.4), "beam centre"),
        ((-1.0, 4), "beam centre beyond the edge"),
        ((4, 9.5), "beam centre beyond the edge"),
        ((np.nan, np.inf), "beam centre beyond the edge"),
    ],
)
def test_beam_centre(centre, said):
    mean = np.ones((8, 8), np.float32)
    panel = frame_panel("", mean, np.zeros((8, 8), bool), centre)
    assert texts(panel) == ["no pixel masked", said]
    white = np.argwhere((np.asarray(panel.image) == PAPER).all(axis=2))
    assert bool(len(white)) == (said == "beam centre")
    if centre == (4.0, 2.0):  # pixel 4 reaches from 4/8 to 5/8 of the panel
        np.testing.assert_allclose(white.mean(axis=0), (4.5 * 64, 2.5 * 64), atol=1)


@pytest.mark.parametrize("where", ZeroFrequency)
def test_zero_frequency_is_the_beam_centre(picture, where):
    scan = full_scan(beam_centre_px=None, zero_frequency=Found(where, "there"))
    area = panel_areas(picture(scan))[0]
    white = np.argwhere((area == PAPER).all(axis=2)).mean(axis=0)
    at = 8 if where is ZeroFrequency.CORNER else 264
    np.testing.assert_allclose(white, (at, at), atol=5)


def test_positions_keep_their_axes_and_their_order():
    raster = np.stack(np.divmod(np.arange(50.0), 10), axis=1)
    panel = positions_panel("", raster * 1e-6, metres=True)
    pixels = np.asarray(panel.image)[1:-1, 1:-1]
    # 9 steps across, 4 down, of equal length; the first at the top left.
    drawn = np.argwhere((pixels != PAPER).any(axis=2))
    (top, left), (bottom, right) = drawn.min(axis=0), drawn.max(axis=0)
    assert (bottom - top) / (right - left) == pytest.approx(4 / 9, abs=0.04)
    first, last = pixels[BOX // 2 - 104, 24], pixels[BOX // 2 + 102, BOX - 26]
    assert first.tolist() == pytest.approx(panel.scale.colours[0].tolist(), abs=12)
    assert last.tolist() == pytest.approx(panel.scale.colours[-1].tolist(), abs=12)
    assert texts(panel) == ["2 µm", "50 positions", "first"]
    assert texts(positions_panel("", raster, metres=False))[0] == "2 px"


def test_the_scale_bar_is_to_scale():
    ends = np.array([[0.0, 0.0], [0.0, 464e-9]])  # 464 px between the insets
    bar = positions_panel("", ends, metres=True).legend[0]
    assert (bar.text, bar.mark.width) == ("100 nm", 100)


def test_positions_that_are_no_numbers_are_skipped():
    positions = np.random.default_rng(0).uniform(0, 1e-6, (40, 2))
    positions[3] = np.nan, 1
    positions[4, 1] = np.inf
    positions[5] = -1e308
    assert texts(positions_panel("", positions, metres=True))[-1] == "3 of them not a number"
    assert not positions_panel("", positions * np.nan, metres=True).legend


@pytest.mark.parametrize("count", [1, 2, 9])
def test_positions_in_one_place(count):
    panel = positions_panel("", np.full((count, 2), 3e-6), metres=True)
    said = ["1 position", "first"] if count == 1 else [f"{count} positions", "all in one place"]
    assert texts(panel)[:2] == said


def test_a_huge_scan_is_drawn_in_bounded_time():
    count = 1_500_000
    raster = np.stack(np.divmod(np.arange(float(count)), 1000), axis=1)
    start = time.perf_counter()
    panel = positions_panel("", raster, metres=False)
    assert time.perf_counter() - start < 30
    assert f"{count} positions" in texts(panel)
    assert (np.asarray(panel.image)[256, 200:300] != PAPER).any(axis=1).all()


def test_many_positions_are_still_a_path():
    raster = np.stack(np.divmod(np.arange(20_000.0), 200), axis=1)
    assert texts(positions_panel("", raster, metres=False))[-1] == "first"


@pytest.mark.parametrize(
    ("modes", "size"),
    [(1, (512, 512)), (2, (512, 256)), (3, (512, 512)), (4, (512, 512)), (7, (512, 512))],
)
def test_one_tile_a_mode(modes, size):
    rng = np.random.default_rng(0)
    probe = rng.normal(size=(modes, 64, 64)).astype(np.complex64)
    panel = probe_panel("", probe, None)
    assert panel.image.size == size
    assert texts(panel)[:2] == ["20 px", "1 mode" if modes == 1 else f"{modes} modes"]
    hidden = [text for text in texts(panel) if "not shown" in text]
    assert bool(hidden) == (modes == 7)


def test_power_of_the_modes_not_shown():
    probe = np.ones((5, 8, 8), np.complex64)
    probe[4] *= 2
    assert "50.0 % in those not shown" in texts(probe_panel("", probe, 1e-8))


def test_amplitude_is_brightness_and_phase_is_hue():
    probe = np.zeros((1, 2, 2), np.complex64)
    probe[0, 0, 1], probe[0, 1, 0], probe[0, 1, 1] = 1, np.exp(2j * np.pi / 3), 0.5
    pixels = np.asarray(probe_panel("", probe, None).image)
    assert pixels[200, 200].tolist() == [0, 0, 0]
    red, green, half = pixels[128, 384], pixels[384, 128], pixels[384, 384]
    assert red.argmax() == half.argmax() == 0
    assert green.argmax() == 1
    assert half[0] == pytest.approx(red[0] / 2, abs=1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 20, 50), (3, 50, 20), (2, 2100, 2100)])
def test_probes_of_any_shape(shape):
    panel = probe_panel("", np.ones(shape, np.complex64), 1e-9)
    assert max(panel.image.size) <= BOX


def test_dark_and_spoiled_probes():
    dark = np.zeros((2, 16, 16), np.complex64)
    assert texts(probe_panel("", dark, None))[-1] == "dark"
    dark[0, 3, 4] = np.nan
    dark[1] = 1e30
    assert texts(probe_panel("", dark, None))[-1] == "1 px not a number"


def test_positions_in_pixels_without_geometry(picture):
    positions = Found(Positions(np.eye(2), PositionUnit.OBJECT_PIXEL), "p")
    areas = panel_areas(picture(full_scan(positions=positions, energy_ev=None)))
    assert not any(map(is_empty, areas))


def test_geometry_of_no_beamline_is_no_hindrance(picture):
    scan = full_scan(energy_ev=Found(-3.0, "energy"), near_field="the file says so")
    assert not any(map(is_empty, panel_areas(picture(scan))))


@pytest.mark.usefixtures("here")
def test_inspect_with_image(call):
    code, out, err = call("inspect", "scan.cxi", "--image", "preview.png")
    assert (code, err) == (0, "")
    assert "picture: preview.png" in out
    panel_areas(np.asarray(Image.open("preview.png")))
    code, out, _ = call("inspect", "scan.cxi", "--image", "preview.png", "--force", "--json")
    assert code == 0
    assert json.loads(out)["picture"] == "preview.png"


def test_inspect_keeps_what_is_there(here, call):
    (here / "preview.png").write_text("mine")
    before = (here / "scan.cxi").read_bytes()
    for target, words in (("preview.png", "exists already"), ("scan.cxi", "is a scan to read")):
        force = ["--force"] if target == "scan.cxi" else []
        code, out, err = call("inspect", "scan.cxi", "--image", target, *force, "--json")
        assert (code, out) == (1, "")
        assert err.startswith(f"Error: {target}: ")
        assert err.count("\n") == 1
        assert words in err
    assert (here / "preview.png").read_text() == "mine"
    assert (here / "scan.cxi").read_bytes() == before


def test_inspect_of_a_package_has_no_image(call):
    code, _, err = call("inspect", "x.wnet", "--image", "preview.png")
    assert code == 2
    assert "--image and --package are for scans" in err


@pytest.mark.parametrize("name", ["cnm26id_scan247.cxi", "petra_p25_nearfield.cxi"])
@pytest.mark.usefixtures("here")
def test_real_scans(call, data_dir, name):
    assert call("inspect", data_dir / name, "--image", "preview.png")[0] == 0
    areas = panel_areas(np.asarray(Image.open("preview.png")))
    assert [is_empty(area) for area in areas] == [False, False, name.startswith("petra")]
