"""`wnet-edge reference` refuses in one line what it can't use, before it has written anything."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_scan import PIXEL_M, STAGE_PX, SmallScan, corners, needs_ptychi, probe


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """A scan in the working folder."""
    monkeypatch.chdir(tmp_path)
    scan = SmallScan.taken()
    scan.write(tmp_path / "scan.cxi")
    return scan


def refused(call, *words):
    before = sorted(Path().iterdir())
    code, out, err = call("reference", "scan.cxi", "-o", "out.h5", *words)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert sorted(Path().iterdir()) == before
    return err


@pytest.mark.parametrize("missing", ["ptychi", "torch", "scipy"])
def test_without_pty_chi(tmp_path, missing):
    script = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from wnet_edge.cli.main import main\n"
        "sys.argv = ['wnet-edge', 'reference', 'scan.cxi', '-o', 'out.h5']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: reference needs ")
    assert done.stderr.endswith(
        ", which the edge install does not include: pip install 'wnet-edge[reference]'\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["scan.cxi"]


@needs_ptychi
def test_a_scan_without_a_probe(call, small, tmp_path):
    (tmp_path / "scan.cxi").unlink()
    small.write(tmp_path / "scan.cxi", probe=None)
    assert refused(call) == (
        "Error: scan.cxi: has no probe; give one with --probe, e.g. a Ptychodus product\n"
    )
    np.savez(tmp_path / "probe.npz", probe=probe(), object_pixel_m=np.float64(PIXEL_M))
    code, _, err = call(
        *("reference", "scan.cxi", "-o", "out.h5", "--probe", "probe.npz:probe"),
        *("--epochs", 1, "--device", "cpu"),
    )
    assert code == 0, err


@needs_ptychi
def test_a_start_that_is_no_image_of_this_scan(call, small, tmp_path):
    assert "nowhere.h5: " in refused(call, "--start", "nowhere.h5")
    (tmp_path / "text.h5").write_text("no image")
    assert "text.h5: neither HDF5, TIFF nor .npz; give " in refused(call, "--start", "text.h5")
    assert "scan.cxi: " in refused(call, "--start", "scan.cxi")
    np.savez(tmp_path / "alone.npz", object=np.ones((80, 80), np.complex64))
    assert "has no `window_top_left_px`" in refused(call, "--start", "alone.npz")
    far = (corners() + STAGE_PX + 500) * PIXEL_M
    small.write(tmp_path / "other.cxi", positions_m=far)
    code, _, err = call(
        *("reference", "other.cxi", "-o", "other.h5", "--epochs", 1, "--device", "cpu")
    )
    assert code == 0, err
    assert refused(call, "--start", "other.h5") == (
        "Error: other.h5: does not show the places where the frames of scan.cxi were taken; give "
        "an image of this scan\n"
    )


@needs_ptychi
def test_outputs_that_are_there(call, tmp_path):
    (tmp_path / "out.h5").write_text("mine")
    assert "out.h5: " in refused(call)
    assert (tmp_path / "out.h5").read_text() == "mine"
    assert "scan.cxi" in refused(call, "-o", "scan.cxi", "--force")


@needs_ptychi
@pytest.mark.usefixtures("little_memory")
def test_frames_that_memory_can_not_hold(call):
    err = refused(call)
    assert "scan.cxi: 49 frames in memory: needs about" in err
    assert "reconstruct part of them: --frames-range FIRST:END" in err


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("wnet_edge.host.memory.available_bytes", lambda: 10**5)


def test_bad_words_are_usage_errors(call):
    for words in (
        ("--engine", "fienup"),
        ("--image", "a.png", "--no-image"),
        ("--orientation", "auto"),
    ):
        code, _, err = call("reference", "scan.cxi", "-o", "out.h5", *words)
        assert code == 2, err
