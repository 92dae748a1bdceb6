"""PtyLab and ptypy: their orientations, weights and chunks; what is refused and why."""

import h5py
import numpy as np
import pytest
from reader_checks import assert_same_positions, refusal, swap, write

from wnet_edge.io.scan_file import find_scan, open_scan


def test_ptylab_encoder_may_lie_on_its_side(tmp_path, small_scan):
    path, options = write(
        "ptylab", tmp_path, small_scan, lambda file: swap(file, "encoder", small_scan.positions_m.T)
    )
    assert_same_positions(open_scan(path, options).positions_m, small_scan)


@pytest.mark.parametrize("number", range(8))
def test_ptylab_orientation(tmp_path, small_scan, number):
    path, options = write(
        "ptylab", tmp_path, small_scan, lambda file: swap(file, "orientation", number)
    )
    turned = small_scan.frames
    if number & 4:
        turned = turned.swapaxes(1, 2)
    # Flips go about the centre pixel, n // 2, which stays where it is.
    for bit, axis in ((2, 1), (1, 2)):
        if number & bit:
            turned = np.roll(np.flip(turned, axis), 1, axis)
    scan = open_scan(path, options)
    np.testing.assert_array_equal(scan.frames[:], turned)
    np.testing.assert_array_equal(scan.frames[4], turned[4])
    np.testing.assert_array_equal(scan.frames[2:5, 3:9, 1:2], turned[2:5, 3:9, 1:2])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("orientation", 8, "/orientation is 8, not 0 … 7"),
        ("encoder", np.zeros((12, 3)), "/encoder is float64 (12, 3), not numbers (N, 2)"),
        ("encoder", np.zeros((11, 2)), "/encoder holds 11 positions for 12 frames"),
        ("wavelength", -1.0, "/wavelength is -1 m"),
        ("zo", [1.0, 2.0], "/zo is not one number"),
        ("ptychogram", np.zeros((12, 32)), "/ptychogram is (12, 32), not (N, H, W)"),
    ],
)
def test_ptylab_refusals(tmp_path, small_scan, name, value, words):
    path, options = write("ptylab", tmp_path, small_scan, lambda file: swap(file, name, value))
    assert words in refusal(path, options)


def test_ptylab_fourier_ptychography_is_no_diffraction(tmp_path, small_scan):
    def change(file):
        del file["zo"]
        file["zled"], file["magnification"] = 60e-3, 4.0

    path, options = write("ptylab", tmp_path, small_scan, change)
    assert "Fourier ptychography" in find_scan(path, options).near_field


def test_scan_that_ptylab_writes(tmp_path):
    simulation = pytest.importorskip("PtyLab.io.generateSimulationData")
    simulation.generate_simu_hdf5(tmp_path / "simu.hdf5")
    found = find_scan(tmp_path / "simu.hdf5")
    assert found.format == "PtyLab"
    assert found.frames.value.shape == (100, 128, 128)
    assert found.positions.value.values.shape == (100, 2)
    assert found.energy_ev.value == pytest.approx(1.959, rel=1e-3)
    assert found.distance_m.value == pytest.approx(5e-2)
    assert found.pixel_size_m.value == pytest.approx(72e-6)


def test_ptypy_weight_for_all_frames(tmp_path, small_scan):
    path, options = write("ptypy", tmp_path, small_scan)
    with h5py.File(path, "a") as file, h5py.File(tmp_path / "scan.ptyd.part001", "a") as part:
        swap(file, "chunks/0/weights", np.zeros(0))
        swap(part, "weights", np.zeros(0))
        file["info/weight2d"] = ~small_scan.mask
    np.testing.assert_array_equal(open_scan(path, options).mask, small_scan.mask)


def test_ptypy_centre(tmp_path, small_scan):
    path, _ = write("ptypy", tmp_path, small_scan)
    assert find_scan(path).beam_centre_px.value == (16, 16)
    with h5py.File(path, "a") as file:
        swap(file, "meta/center", "fftshift")
    assert find_scan(path).beam_centre_px is None


def test_ptypy_chunk_that_is_missing_is_named(tmp_path, small_scan):
    path, options = write("ptypy", tmp_path, small_scan)
    (tmp_path / "scan.ptyd.part001").unlink()
    assert refusal(path, options) == (
        "/chunks/1 links to scan.ptyd.part001:/, which is not there; copy that file next to "
        "this one"
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("chunks/0/positions", np.zeros((6, 3)), "/chunks/0/positions is float64 (6, 3)"),
        ("chunks/0/positions", np.zeros((5, 2)), "holds 11 positions for 12 frames"),
        ("chunks/0/weights", np.ones((6, 30, 32)), "not numbers for frames of (32, 32)"),
        ("chunks/0/data", np.ones((6, 32, 32)), "holds uint32 (32, 32) per frame"),
        ("meta/energy", "high", "/meta/energy is object (), not one number"),
        ("meta/energy", np.inf, "/meta/energy is inf"),
        ("meta/psize", [1e-5, 2e-5], "bin frames to square pixels"),
    ],
)
def test_ptypy_refusals(tmp_path, small_scan, name, value, words):
    path, options = write("ptypy", tmp_path, small_scan, lambda file: swap(file, name, value))
    assert words in refusal(path, options)
