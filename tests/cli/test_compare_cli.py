"""`wnet-edge compare`, as it is typed."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from wnet_edge.io.images.result_file import Provenance, Result, write_result

NUMBERS = {
    "phase_correlation",
    "phase_psnr_db",
    "phase_ssim",
    "phase_mse",
    "phase_mae_rad",
    "phase_slope",
    "resolution_m",
    "amplitude_correlation",
    "amplitude_mse",
    "amplitude_psnr_db",
    "amplitude_ssim",
    "overlap_px",
}
RANGES = {
    "phase_psnr_data_range_rad",
    "phase_ssim_data_range_rad",
    "amplitude_psnr_data_range",
    "amplitude_ssim_data_range",
}


def compare(*arguments):
    command = [sys.executable, "-c", "from wnet_edge.cli.main import main; main()", "compare"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def an_object(shape=(120, 130)):
    rows, columns = np.indices(shape)
    phase = 0.5 * np.sin(rows**1.3 / 30) * np.cos(columns**1.2 / 20) + 0.1 * np.sin(columns / 3)
    return ((1 + 0.1 * np.cos(rows / 5)) * np.exp(1j * phase)).astype(np.complex64)


@pytest.fixture
def pair(tmp_path):
    """A result file and the reference archive it should match."""
    truth = an_object()
    np.savez_compressed(tmp_path / "ref.npz", object=truth, object_pixel_m=1e-8)
    part = truth[10:110, 20:]
    write_result(
        tmp_path / "a.h5",
        Result.of_image(
            (part * 1.1j).astype(np.complex64),
            np.ones(part.shape, np.float32),
            np.zeros(2),
            np.zeros(2, np.int64),
            1e-8,
            Provenance(),
        ),
    )
    return tmp_path / "a.h5", tmp_path / "ref.npz"


def test_json_has_every_number_and_its_range(pair):
    run = compare(*pair, "--json")
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert set(answer) >= NUMBERS | RANGES | {"shift_px", "ramp_removed"}
    assert answer["phase_correlation"] == pytest.approx(1, abs=1e-5)
    assert answer["phase_slope"] == pytest.approx(1, abs=1e-3)
    assert answer["shift_px"] == pytest.approx([-10, -20], abs=0.01)
    assert answer["overlap_px"] == 100 * 110
    assert answer["resolution_m"] == 1e-8


def test_table_is_the_default(pair):
    run = compare(*pair)
    assert run.returncode == 0
    assert "correlation" in run.stdout
    assert "1.0000" in run.stdout
    assert "shift of A        -10.00, -20.00 px" in run.stdout


def test_usage(pair):
    assert compare("-h").returncode == 0
    assert compare(pair[0]).returncode == 2


def missing(path):
    return path.with_name("missing.npz")


def empty(path):
    path.write_bytes(b"")
    return path


def truncated(path):
    path.write_bytes(path.read_bytes()[:-400])
    return path


def damaged_inside(path):
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    return path


def text(path):
    path.write_text("row, column\n1, 2\n")
    return path


def folder(path):
    return path.parent


def pickled(path):
    np.savez(path, object=np.array([{"a": 1}], dtype=object))
    return path


def real_object(path):
    np.savez(path, object=np.ones((50, 50)))
    return path


def other_names(path):
    np.savez(path, image=an_object())
    return path


def zero_probe(path):
    windows = np.zeros((1, 2), int)
    np.savez(
        path, object=an_object(), probe=np.zeros((1, 64, 64), complex), window_top_left_px=windows
    )
    return path


def window_outside(path):
    windows = np.array([[100, 100]])
    np.savez(
        path, object=an_object(), probe=np.ones((1, 64, 64), complex), window_top_left_px=windows
    )
    return path


def flat_windows(path):
    np.savez(
        path,
        object=an_object(),
        probe=np.ones((1, 64, 64), complex),
        window_top_left_px=np.arange(4),
    )
    return path


def impossible_pixel(path):
    np.savez(path, object=an_object(), object_pixel_m=np.nan)
    return path


def other_pixel(path):
    np.savez(path, object=an_object(), object_pixel_m=2e-8)
    return path


def bomb(path):
    header = b"{'descr': '<c8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "object.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    return path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing, "no such file"),
        (folder, "is a folder"),
        (empty, "the file is empty"),
        (truncated, "damaged"),
        (damaged_inside, "damaged"),
        (text, "neither HDF5, TIFF nor .npz"),
        (pickled, "pickled, which is never loaded"),
        (real_object, "no complex image `object`"),
        (other_names, "no complex image `object`"),
        (zero_probe, "dark"),
        (window_outside, "outside `object`"),
        (flat_windows, "not (N, 2)"),
        (impossible_pixel, "not one positive number"),
        (other_pixel, "only equal pixels can be compared"),
        (bomb, "too many to read"),
    ],
)
def test_what_cannot_be_compared_is_one_line(pair, spoil, message):
    image, reference = pair
    spoiled = spoil(reference)
    run = compare(image, spoiled)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("Error: ")
    assert run.stderr.count("\n") == 1
    assert message in run.stderr
    assert str(spoiled) in run.stderr


def test_real_reference_matches_itself(data_dir):
    path = data_dir / "cnm26id_scan247_reference.npz"
    answer = json.loads(compare(path, path, "--json").stdout)
    assert answer["phase_correlation"] == pytest.approx(1)
    assert answer["amplitude_correlation"] == pytest.approx(1)
    assert answer["phase_psnr_db"] is None  # infinite
    assert 100_000 < answer["overlap_px"] < 200_000
