"""`infer` on files as they come: flags, profiles, formats, folders, images not trusted."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny import GEOMETRY

import wnet_edge
from wnet_edge.io.images.result_file import read_result

EXAMPLE = Path(wnet_edge.__file__).parent / "examples" / "cnm26id_scan247_64px.cxi"
KNOWN = ("--package", "known.wnet", "--provider", "cpu")


@pytest.fixture
def bare(here, known):
    """Nothing but arrays in an HDF5 file, positions in micrometres without saying so."""
    with h5py.File(here / "bare.h5", "w") as file:
        file["measured/frames"] = known.frames
        positions_m = known.corners * GEOMETRY.object_pixel_size_m(known.full_px)
        file["measured/stage"] = positions_m * 1e6
        file["measured/light"] = known.probe
    return here / "bare.h5"


FLAGS = {
    "frames": "measured/frames",
    "positions": "measured/stage",
    "positions-unit": "um",
    "probe": "measured/light",
    "energy-ev": 10_000.0,
    "distance-m": 0.9,
    "pixel-size-m": 55e-6,
}


def image(path):
    result = read_result(path)
    return result.amplitude * np.exp(1j * result.phase)


def test_flags_say_what_a_file_does_not(bare, call):
    flags = [word for name, value in FLAGS.items() for word in (f"--{name}", value)]
    assert call("infer", "scan.cxi", *KNOWN)[0] == 0
    code, out, _ = call("infer", bare, *KNOWN, *flags, "--json")
    assert code == 0
    assert json.loads(out)["format"] == "HDF5"
    np.testing.assert_allclose(image("bare.wnet.h5"), image("scan.wnet.h5"), atol=1e-5)


def test_a_profile_keeps_the_flags_and_what_is_typed_goes_before_it(bare, call, here):
    lines = [f"{name} = {json.dumps(value)}" for name, value in FLAGS.items()]
    (here / "26id.toml").write_text("\n".join(lines))
    assert call("infer", bare, *KNOWN, "--profile", "26id.toml")[0] == 0
    code, out, _ = call("inspect", bare, "--profile", "26id.toml", "--distance-m", "0.8", "--json")
    values = json.loads(out)
    assert code == 0
    assert values["distance_m"] == {"value": 0.8, "where": "--distance-m"}
    assert values["energy_ev"]["value"] == 10_000
    assert values["positions"]["where"].endswith("bare.h5:/measured/stage")


def test_what_is_found_is_recorded(here, call):
    assert call("infer", "scan.cxi", *KNOWN)[0] == 0
    process = read_result(here / "scan.wnet.h5").process
    assert process.trusted == "unknown"
    assert process.scan["format"] == "CXI 1.6"
    assert process.scan["orientation"] == "identity"
    assert process.scan["beam_centre_px"] == "16, 16"
    values = process.self_check
    assert values["frames"] > 0
    explained = 1 - values["r_factor"] / values["r_blank"]
    assert values["explained"] == pytest.approx(explained, abs=0.01)
    assert "unknown: the package holds no R-factor" in process.warnings[-1]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("nexus", ["scan.wnet.h5"]),
        ("ptychodus", ["scan.ptychodus.h5"]),
        ("cxi", ["scan.wnet.cxi"]),
        ("tiff", ["scan.wnet.amplitude.tif", "scan.wnet.phase.tif"]),
    ],
)
def test_formats(here, call, kind, names):
    before = {path.name for path in here.iterdir()}
    code, out, _ = call("infer", "scan.cxi", *KNOWN, "--format", kind)
    assert code == 0
    assert sorted({p.name for p in here.iterdir()} - before) == sorted([*names, "scan.wnet.png"])
    for name in names:
        assert f"image: {name}" in out
    code, _, err = call("infer", "scan.cxi", *KNOWN, "--format", kind)
    assert code == 1
    assert "exists already" in err


@pytest.mark.parametrize(
    ("output", "picture"),
    [
        ("a.h5", "a.png"),
        ("sub/b.nxs", "sub/b.png"),
        ("scan_0.15", "scan_0.15.png"),
        ("c.wnet.h5", "c.wnet.png"),
    ],
)
def test_the_picture_lies_beside_the_result(here, call, output, picture):
    (here / "sub").mkdir()
    code, out, _ = call("infer", "scan.cxi", *KNOWN, "-o", output, "--json")
    assert code == 0
    assert json.loads(out)["picture"] == picture
    assert (here / picture).read_bytes().startswith(b"\x89PNG")
    assert not (here / "scan.wnet.png").exists()
    # Another name is another picture.
    assert call("infer", "scan.cxi", *KNOWN, "-o", "other.h5")[0] == 0
    # Refused before any work: the scan is not even looked at.
    (here / "scan.cxi").unlink()
    for taken in (output, picture):
        code, _, err = call("infer", "scan.cxi", *KNOWN, "-o", output)
        assert code == 1
        assert err.startswith(f"Error: {taken}: exists already")
        (here / output).unlink(missing_ok=True)


def test_no_image_draws_none(here, call):
    before = {path.name for path in here.iterdir()}
    code, out, _ = call("infer", "scan.cxi", *KNOWN, "--no-image")
    assert code == 0
    assert {path.name for path in here.iterdir()} - before == {"scan.wnet.h5"}
    assert "picture" not in out
    code, out, _ = call("infer", "scan.cxi", *KNOWN, "-o", "a.h5", "--no-image", "--json")
    assert json.loads(out)["picture"] is None
    code, _, err = call("infer", "scan.cxi", *KNOWN, "--no-image", "--image", "a.png")
    assert code == 2
    assert "give either --image or --no-image" in err


def test_a_pair_of_tiffs_has_one_picture(here, call):
    assert call("infer", "scan.cxi", *KNOWN, "--format", "tiff", "-o", "a.tif")[0] == 0
    names = {path.name for path in here.iterdir() if path.name.startswith("a.")}
    assert names == {"a.phase.tif", "a.amplitude.tif", "a.png"}


def test_many_scans_go_to_a_folder_and_a_bad_one_stops_none(here, call, known):
    known.write(here / "other.cxi")
    (here / "bad.cxi").write_text("no scan")
    scans = ("scan.cxi", "bad.cxi", "other.cxi")
    code, out, err = call("infer", *scans, *KNOWN, "-o", "images")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["scan"] for line in lines] == list(scans)
    assert "is not a scan file" in lines[1]["error"]
    assert lines[2]["frames_processed"] == 36
    assert err == "Error: 1 of 3 scans failed: bad.cxi; their JSON lines say why\n"
    assert sorted(path.name for path in (here / "images").iterdir()) == [
        "other.wnet.h5",
        "other.wnet.png",
        "scan.wnet.h5",
        "scan.wnet.png",
    ]
    code, out, _ = call("infer", "scan.cxi", *KNOWN, "-o", "images", "--force")
    assert code == 0
    assert "image: images/scan.wnet.h5" in out


def test_strict_refuses_what_is_not_trusted(call, here):
    turned = ("--orientation", "flip-rows", "--provider", "cpu", "-o", "w.h5", "--image", "w.png")
    code, _, err = call("infer", EXAMPLE, *turned, "--strict")
    assert code == 1
    assert err.startswith(f"Error: {EXAMPLE}: R-factor 0.233 (blank object 0.242), explains 4 %")
    assert not (here / "w.h5").exists()
    code, out, err = call("infer", EXAMPLE, *turned)
    assert code == 0
    assert "NOT trusted" in out
    assert "NOT trusted: the image hardly explains its frames" in err
    assert read_result(here / "w.h5").process.trusted == "no"
    code, out, _ = call(
        "infer",
        EXAMPLE,
        "--strict",
        "--json",
        "--provider",
        "cpu",
        "-o",
        "r.h5",
        "--image",
        "r.png",
    )
    assert code == 0
    assert json.loads(out)["trusted"] is True


@pytest.mark.usefixtures("here")
def test_usage_of_pairs(call):
    for flags in (("--beam-centre", "12"), ("--raster", "3by4"), ("--orientation", "up")):
        code, _, err = call("infer", "scan.cxi", *KNOWN, *flags)
        assert code == 2
        assert "Traceback" not in err


def test_a_probe_unlike_the_package_s_is_told(here, call, known):
    even = np.ones((1, known.full_px, known.full_px), np.complex64) * 10
    known.write(here / "even.cxi", probe=even)
    code, _, err = call("infer", "even.cxi", *KNOWN)
    assert code == 0
    assert "% like the package's, less than the 65 %" in err
    assert "% like" not in call("infer", "scan.cxi", *KNOWN)[2]


def test_a_mask_is_turned_by_the_command_line_and_by_a_profile(here, call):
    good = np.ones((32, 32), np.uint8)
    good[4:6, 7] = 0
    np.save("good.npy", good)
    infer = ("infer", "scan.cxi", "--package", "known.wnet", "--mask", "good.npy", "--force")
    code, _, err = call(*infer)
    assert code == 1
    assert "good.npy marks 99.8 % of the pixels as bad" in err
    (here / "p.toml").write_text("mask_good = 1\n")
    for flags in (("--mask-good", "1"), ("--profile", "p.toml")):
        assert call(*infer, *flags)[0] == 0
    code, _, err = call(*infer[:4], "--mask", "none", "--mask-good", "1", "--force")
    assert (code, err) == (
        1,
        "Error: scan.cxi: --mask-good goes with a mask; name one with --mask\n",
    )


def test_scans_of_one_name_go_to_one_folder(here, call):
    """As many folders go before a name as tell it from the others."""
    for place in ("S1/raw", "S2/raw", "S2/more"):
        (here / place).mkdir(parents=True)
        shutil.copy(here / "scan.cxi", here / place / "data.cxi")
    scans = ("S1/raw/data.cxi", "S2/raw/data.cxi", "S2/more/data.cxi", "scan.cxi")
    code, _, err = call("infer", *scans, *KNOWN, "-o", "out")
    assert code == 0, err
    assert sorted(path.name for path in (here / "out").glob("*.h5")) == [
        "S1_raw_data.wnet.h5",
        "S2_raw_data.wnet.h5",
        "more_data.wnet.h5",
        "scan.wnet.h5",
    ]


def test_one_scan_named_twice_is_refused(here, call):
    code, _, err = call("infer", "scan.cxi", "scan.cxi", *KNOWN, "-o", "out")
    assert code == 1
    assert "would be written twice" in err
    assert not (here / "out").exists()


@pytest.fixture
def tiffs(here, known):
    """A file for each frame, and their positions."""
    tifffile = pytest.importorskip("tifffile")
    (here / "tiffs").mkdir()
    for number, frame in enumerate(known.frames):
        tifffile.imwrite(here / "tiffs" / f"frame_{number}.tif", frame)
    positions_m = known.corners * GEOMETRY.object_pixel_size_m(known.full_px)
    np.savetxt(here / "p.csv", positions_m[:, ::-1], header="x_m y_m")
    flags = {name: value for name, value in FLAGS.items() if name.endswith(("-ev", "-m"))}
    return ["--positions", "p.csv", *(str(w) for n, v in flags.items() for w in (f"--{n}", v))]


@pytest.mark.parametrize(
    ("scan", "stem"), [("tiffs", "tiffs"), ("tiffs/*.tif", "tiffs"), ("tiffs/frame_*", "frame")]
)
def test_files_of_one_frame_are_one_scan(here, call, tiffs, scan, stem):
    code, out, err = call("infer", scan, *KNOWN, *tiffs, "--json")
    assert code == 0, err
    assert json.loads(out)["frames_processed"] == 36
    assert call("infer", "scan.cxi", *KNOWN, "--probe", "none")[0] == 0
    np.testing.assert_allclose(image(here / f"{stem}.wnet.h5"), image("scan.wnet.h5"), atol=1e-5)


def test_files_of_one_frame_typed_one_by_one_are_refused(here, call, tiffs):
    scans = [f"tiffs/frame_{number}.tif" for number in range(36)]
    code, _, err = call("infer", *scans, *KNOWN, *tiffs, "-o", "out")
    assert code == 1
    assert err.strip().startswith("Error: tiffs/frame_0.tif: holds one frame")
    assert err.strip().endswith("name their folder, or quote the pattern: 'tiffs/*.tif'")
    assert not (here / "out").exists()
