"""`wnet-edge reference`: pty-chi's engines on a small scan whose object is known."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_scan import PIXEL_M, STAGE_PX, SmallScan, corners, needs_ptychi, probe

from wnet_edge.comparing.comparison import compare
from wnet_edge.io.images.located_image import read_hdf5_image
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.images.result_file import read_result
from wnet_edge.io.writers.cxi_writer import TRANSLATION
from wnet_edge.physics.probe import defocus

pytestmark = needs_ptychi

PROGRAM = Path(sys.executable).with_name("wnet-edge")
SCAN = "scan.cxi"
QUICK = ("--device", "cpu", "--threads", 1, "--engine", "mpie")


@pytest.fixture(scope="session")
def small() -> SmallScan:
    return SmallScan.taken()


@pytest.fixture(autouse=True)
def folder(small, tmp_path, monkeypatch):
    """The working folder, with the scan in it."""
    small.write(tmp_path / SCAN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reference(call):
    """Runs the command; gives what its last line says, and what is on stderr."""

    def run(*words, scan=SCAN, output="out.h5"):
        code, out, err = call("reference", scan, "-o", output, "--force", "--json", *QUICK, *words)
        assert code == 0, err
        return json.loads(out.splitlines()[-1]), err

    return run


@pytest.mark.parametrize(
    ("engine", "epochs", "least"),
    [("epie", 20, 0.9), ("mpie", 20, 0.92), ("lsqml", 20, 0.9), ("dm", 40, 0.9)],
)
def test_every_engine_finds_the_object_where_it_is(reference, small, engine, epochs, least):
    said, _ = reference("--engine", engine, "--epochs", 2, output="early.h5")
    late, err = reference("--engine", engine, "--epochs", epochs, output="late.h5")
    early_agreement = small.agreement("early.h5")
    assert small.agreement("late.h5") > max(least, early_agreement)
    assert late["engine"] == engine
    assert late["r_factor"] < said["r_factor"] < late["r_factors"][0]
    assert len(late["errors"]) == epochs
    assert len(late["r_factors"]) == epochs + 1
    assert f"epoch {epochs}/{epochs}: R-factor {late['r_factors'][-1]:.4f}" in err


def test_the_file_says_how_it_came_about(reference, folder):
    said, _ = reference("--epochs", 3)
    result = read_result(folder / "out.h5")
    told = result.process.reference
    assert told["engine"] == "mpie"
    assert told["epochs"] == 3
    assert told["start"] == "empty"
    assert told["probe"] == told["positions"] == "held"
    assert told["r_factor"] == pytest.approx(said["r_factor"])
    np.testing.assert_allclose(told["errors"], said["errors"])
    assert {"ptychi", "torch"} <= set(result.process.versions)
    assert (folder / "out.png").is_file()


def test_the_seed_decides(reference, folder):
    for seed, name in ((1, "a.h5"), (1, "b.h5"), (2, "c.h5")):
        reference("--epochs", 2, "--seed", seed, "--batch-size", 5, output=name)
    a, b, c = (read_result(folder / f"{name}.h5").image for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("image_format", ["nexus", "ptychodus", "cxi"])
def test_it_goes_on_from_an_image(reference, image_format):
    first, _ = reference("--epochs", 15, "--format", image_format, output="first.h5")
    second, _ = reference("--epochs", 1, "--start", "first.h5")
    assert second["r_factors"][0] < 0.5 * first["r_factors"][0]
    assert second["r_factor"] < 1.1 * first["r_factor"]
    assert second["start"] == "first.h5"


def test_a_product_says_where_its_frames_lie(reference, small, folder):
    reference("--epochs", 10, "--format", "ptychodus", "--engine", "lsqml")
    located = read_hdf5_image(folder / "out.h5")
    from_px = located.windows_px + located.origin_px - STAGE_PX
    np.testing.assert_allclose(from_px, corners(), atol=1e-6)
    assert located.image.pixel_size_m == pytest.approx(PIXEL_M)
    assert small.agreement(folder / "out.h5") > 0.7
    with h5py.File(folder / "out.h5") as file:
        assert file.attrs["comments"] == "Reconstruction by pty-chi, lsqml, through wnet-edge"


@pytest.mark.slow
def test_it_lies_where_the_network_s_image_lies(call, reference, folder):
    """Of the embedded scan: to compare the two, only part of a pixel is to be shifted."""
    part = ("--frames-range", "0:140")
    words = ("infer", "example:scan247", "-o", "infer.h5", "--provider", "cpu", *part)
    code, _, err = call(*words)
    assert code == 0, err
    reference("--epochs", 4, *part, scan="example:scan247")
    ours, theirs = read_result(folder / "out.h5"), read_result(folder / "infer.h5")
    found = compare(read_object_image(folder / "out.h5"), read_object_image(folder / "infer.h5"))
    shift_px = np.array(found.shift_px) - (theirs.origin_px - ours.origin_px)
    assert np.abs(shift_px).max() < 1
    assert found.phase_correlation > 0.7


def test_binned_frames_cut_the_probe(reference, folder):
    small = SmallScan.taken(width_px=2.2)
    small.write(folder / "binned.cxi", binned=True)
    said, err = reference("--epochs", 15, scan="binned.cxi")
    assert "the probe is cut to their 16 px, which hold 100 % of its power" in err
    assert said["r_factor"] < said["r_factors"][0]
    assert small.agreement("out.h5") > 0.6


def test_masked_pixels_are_left_out(reference, small, folder):
    mask = np.zeros(small.frames.shape[1:], np.bool_)
    mask[:, 20] = mask[14, 15] = mask[3, 8:12] = True
    spoiled = small.frames.copy()
    spoiled[:, mask] = 7
    for name, frames in (("good", small.frames), ("bad", spoiled)):
        small.write(folder / f"{name}.cxi", frames=frames, mask=mask)
        reference("--epochs", 12, scan=f"{name}.cxi", output=f"{name}.h5")
    good, bad = (read_result(folder / f"{name}.h5").image for name in ("good", "bad"))
    np.testing.assert_array_equal(good, bad)
    assert small.agreement("bad.h5") > 0.85


def test_pixels_that_are_bad_in_some_frames_are_left_out_in_all(reference, small, folder):
    frames = small.frames.astype(np.float32)
    frames[7, 10, 11] = np.nan
    small.write(folder / "nan.cxi", frames=frames)
    said, err = reference("--epochs", 2, scan="nan.cxi")
    line = "1 pixels that hold no count in some frames are left out in all"
    assert line in err
    assert line in said["warnings"]


def test_positions_are_corrected_on_request(reference, small, folder):
    wrong_px = np.random.default_rng(4).normal(0, 0.6, corners().shape)
    small.write(folder / "off.cxi", positions_m=(corners() + wrong_px + STAGE_PX) * PIXEL_M)
    held, _ = reference("--epochs", 60, scan="off.cxi")
    said, _ = reference(
        *("--epochs", 60, "--refine-positions", "--format", "cxi"),
        scan="off.cxi",
        output="moved.cxi",
    )
    assert held["positions_moved_px"] == 0
    assert said["r_factor"] < 0.8 * held["r_factor"]
    with h5py.File(folder / "moved.cxi") as file:
        x, y, _ = file[TRANSLATION][()].T
    off_px = np.stack([y, x], axis=1) / PIXEL_M - STAGE_PX - corners()

    def rms(values):
        return np.sqrt(np.mean((values - values.mean(axis=0)) ** 2))

    assert rms(off_px) < 0.6 * rms(wrong_px)


def test_a_probe_is_refined_on_request(reference, small, folder):
    wrong = defocus(probe(), distance_m=400e-6, wavelength_m=1.24e-10, pixel_size_m=PIXEL_M)
    small.write(folder / "wrong.cxi", probe=wrong)
    held, _ = reference("--epochs", 40, scan="wrong.cxi")
    said, _ = reference("--epochs", 40, "--refine-probe", scan="wrong.cxi")
    assert said["r_factor"] < 0.9 * held["r_factor"]
    assert (held["probe"], said["probe"]) == ("held", "refined")


def test_modes_of_the_probe(reference, call):
    both, _ = reference("--epochs", 10)
    one, _ = reference("--epochs", 10, "--modes", 1)
    three, _ = reference("--epochs", 10, "--modes", 3, "--refine-probe")
    assert (both["modes"], one["modes"], three["modes"]) == (2, 1, 3)
    assert one["r_factor"] > 1.2 * both["r_factor"]
    code, _, err = call("reference", SCAN, "-o", "more.h5", "--modes", 3)
    assert code == 1
    assert err == (
        "Error: --modes 3: the probe has 2, and more can only be found by --refine-probe\n"
    )


def test_interrupted_it_keeps_the_last_whole_epoch(folder):
    words = ("reference", SCAN, "-o", "out.h5", "--epochs", "100000", "--json", *map(str, QUICK))
    with subprocess.Popen(
        [PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    ) as running:
        for line in running.stderr:
            if line.startswith("epoch 2/"):
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    said = json.loads(out)
    assert said["epochs"] >= 2
    assert said["stopped"] == f"interrupted in epoch {said['epochs'] + 1} of 100000"
    assert len(read_result(folder / "out.h5").process.reference["errors"]) == said["epochs"]


def test_a_gpu_that_is_not_there(call):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code, _, err = call("reference", SCAN, "-o", "out.h5", "--device", "cuda")
    assert code == 1
    assert err.startswith("Error: --device cuda: ")
    assert err.endswith("; give --device cpu\n")
