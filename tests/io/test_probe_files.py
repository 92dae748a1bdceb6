"""Probes from whatever file holds one, with what it says of them; the rest by flag, or refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from known_data import small
from reader_checks import write
from tiny import gaussian_probe

from wnet_edge.cli.main import group
from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.errors import ScanError
from wnet_edge.io.probe_file import find_probe
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import open_scan
from wnet_edge.training.checkpoint import read_checkpoint

KNOWN = small()
FLAGS = {"energy_ev": 8_500.0, "distance_m": 1.25, "pixel_size_m": 75e-6}


def ptychodus_npz(path: Path, **changes) -> None:
    """As `ptychodus.plugins.npz_product_file` names its arrays."""
    arrays = {
        "probe": KNOWN.probe[None],
        "probe_pixel_height_m": KNOWN.object_pixel_size_m,
        "probe_position_x_m": KNOWN.positions_m[:, 1],
        "probe_position_y_m": KNOWN.positions_m[:, 0],
        "probe_position_indexes": np.arange(len(KNOWN.positions_m)),
        "photon_energy_eV": 8_500.0,
        "detector_object_distance_m": 1.25,
        "far_field": True,
    }
    saved_archive(path, **(arrays | changes))


def saved(path: Path, array) -> None:
    """Under this very name."""
    with path.open("wb") as file:
        np.save(file, array)


def saved_archive(path: Path, **arrays) -> None:
    """Under this very name."""
    with path.open("wb") as file:
        np.savez(file, **arrays)


def test_a_scan_gives_what_opening_it_gives():
    found, scan = find_probe(str(EXAMPLE_SCAN)), open_scan(EXAMPLE_SCAN)
    np.testing.assert_array_equal(found.modes, scan.probe)
    assert found.object_pixel_size_m == scan.object_pixel_size_m
    assert found.geometry.detector_pixel_size_m == pytest.approx(55e-6)


def test_a_product_without_frames_is_enough(tmp_path):
    write("ptychodus-product", tmp_path, KNOWN)
    with h5py.File(tmp_path / "product.h5", "a") as file:
        file["probe"].attrs["pixel_height_m"] = KNOWN.object_pixel_size_m
    found = find_probe(str(tmp_path / "product.h5"))
    np.testing.assert_array_equal(found.modes, KNOWN.probe)
    assert found.object_pixel_size_m == pytest.approx(KNOWN.object_pixel_size_m)
    assert found.geometry.detector_pixel_size_m == pytest.approx(75e-6)


def test_the_real_product_takes_its_pixel_from_its_object(data_dir):
    product = str(data_dir / "ptychodus_product_w250.h5")
    found = find_probe(product)
    assert found.modes.shape == (2, 256, 256)
    assert (found.object_pixel_size_m, found.energy_ev, found.distance_m) == (8e-9, 10_000, 1.0)
    # The file's distance is a round number: half of a geometry contradicts it, a whole one wins.
    with pytest.raises(ScanError, match=r"of 8 nm per pixel, but .* make it 8\.806 nm; give both"):
        find_probe(product, ReadOptions(pixel_size_m=55e-6))
    told = find_probe(product, ReadOptions(pixel_size_m=55e-6, distance_m=0.9))
    assert told.object_pixel_size_m == pytest.approx(7.925e-9, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"probe": np.stack([KNOWN.probe, 0.1 * KNOWN.probe])},  # coherent modes
        {"probe_pixel_height_m": 0.0, "object_pixel_height_m": KNOWN.object_pixel_size_m},
    ],
)
def test_a_product_in_an_npz(tmp_path, changes):
    ptychodus_npz(tmp_path / "product.npz", **changes)
    found = find_probe(str(tmp_path / "product.npz"))
    np.testing.assert_array_equal(found.modes, KNOWN.probe)
    assert found.object_pixel_size_m == pytest.approx(KNOWN.object_pixel_size_m)
    assert (found.energy_ev, found.distance_m) == (8_500.0, 1.25)


def test_arrays_by_name_or_alone_with_the_geometry_by_flag(tmp_path):
    np.save(tmp_path / "probe.npy", KNOWN.probe)
    with h5py.File(tmp_path / "any.h5", "w") as file:
        file["a/probe"] = KNOWN.probe[0]
    np.savez(tmp_path / "reference.npz", object=np.ones((9, 9), complex), probe=KNOWN.probe)
    for name in ("probe.npy", "any.h5:/a/probe", "reference.npz", "reference.npz:probe"):
        text = f"{tmp_path}/{name}"
        found = find_probe(text, ReadOptions(**FLAGS))
        assert found.object_pixel_size_m == pytest.approx(KNOWN.object_pixel_size_m)
        np.testing.assert_array_equal(found.modes[0], KNOWN.probe[0])
        for flag, given in FLAGS.items():
            rest = {name: value for name, value in FLAGS.items() if name != flag}
            with pytest.raises(ScanError, match=f"--{flag.replace('_', '-')}"):
                find_probe(text, ReadOptions(**rest))
            assert given


def test_what_infer_wrote_for_others_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, name in (("ptychodus", "a.h5"), ("cxi", "a.cxi")):
        words = ["infer", "example:scan247", "--provider", "cpu", "--no-image", "--format", kind]
        assert CliRunner().invoke(group, [*words, "-o", name]).exit_code == 0
        found = find_probe(name)
        assert found.object_pixel_size_m == pytest.approx(15.85e-9, rel=1e-3)
        assert found.modes.shape == (3, 128, 128)
        assert found.energy_ev == pytest.approx(10_000)


def test_a_result_that_bears_its_probe_is_read_again(tmp_path):
    """As NeXus files of `infer` have it: NXbeam with `illumination` and its pixel."""
    path = tmp_path / "result.h5"
    with h5py.File(path, "w") as file:
        beam = file.create_group("entry/instrument/beam")
        for group, kind in (("entry", "NXentry"), ("entry/instrument", "NXinstrument")):
            file[group].attrs["NX_class"] = kind
        beam.attrs["NX_class"] = "NXbeam"
        beam["incident_energy"] = 8_500.0
        beam["incident_energy"].attrs["units"] = "eV"
        beam["illumination"] = KNOWN.probe
        beam["illumination"].attrs["pixel_size_m"] = KNOWN.object_pixel_size_m
    found = find_probe(str(path))
    assert found.object_pixel_size_m == pytest.approx(KNOWN.object_pixel_size_m)
    assert (found.energy_ev, found.distance_m) == (8_500.0, None)
    with pytest.raises(ScanError, match="does not say how far the detector is; give --distance-m"):
        _ = found.geometry


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("no probe"), "neither HDF5, NumPy nor TIFF"),
        (lambda p: saved(p, np.ones((4, 4))), "not complex"),
        (lambda p: saved(p, np.ones((4, 8), complex)), "not complex (modes, n, n)"),
        (lambda p: saved(p, np.zeros((8, 8), complex)), "is dark or holds NaN"),
        (lambda p: saved(p, np.full((8, 8), np.nan + 0j)), "is dark or holds NaN"),
        (lambda p: saved_archive(p, other=np.ones(3)), "has no probe; name"),
        (lambda p: ptychodus_npz(p, far_field=False), "is near-field"),
    ],
)
def test_a_file_without_a_usable_probe_is_one_line(tmp_path, make, says):
    make(tmp_path / "probe")
    with pytest.raises(ScanError) as caught:
        find_probe(str(tmp_path / "probe"), ReadOptions(**FLAGS))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'probe'}")
    assert says in message
    assert "\n" not in message


def test_a_probe_cut_smaller_than_its_frames_is_not_stretched(tmp_path):
    write("cxi-data_1", tmp_path, KNOWN)
    path = next(tmp_path.glob("*.cxi"))
    with h5py.File(path, "a") as file:
        del file["/entry_1/instrument_1/source_1/illumination"]
        file["/entry_1/instrument_1/source_1/illumination"] = KNOWN.probe[:, 8:24, 8:24]
    with pytest.raises(ScanError, match="its probe is of 16 px, its frames are of 32 px"):
        find_probe(str(path))


@pytest.mark.parametrize("command", ["train", "simulate"])
def test_a_product_alone_trains_and_simulates(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    write("ptychodus-product", tmp_path, KNOWN)
    with h5py.File("product.h5", "a") as file:
        del file["probe"]
        file["probe"] = gaussian_probe(64, modes=2)
        file["probe"].attrs["pixel_height_m"] = 10e-9
    if command == "simulate":
        words = ["simulate", "--probe", "product.h5", "--frames", "4", "-o", "s.cxi"]
        assert CliRunner().invoke(group, words).exit_code == 0
        scan = open_scan(Path("s.cxi"))
        assert scan.frames.shape == (4, 64, 64)
        assert scan.object_pixel_size_m == pytest.approx(10e-9)
        assert scan.known_geometry.energy_ev == 8_500.0
        return
    words = ["train", "--model", "w3", "--probe", "product.h5", "--epochs", "1", "-o", "c"]
    result = CliRunner().invoke(group, [*words, "--frames-per-epoch", "4", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    instrument = read_checkpoint(Path("c")).instrument
    assert (instrument.window_px, instrument.binning) == (64, 1)
    assert instrument.object_pixel_size_m == pytest.approx(10e-9)
    # Another energy is another instrument, and flags go before the file.
    other = [*words[:-1], "d", "--frames-per-epoch", "4", "--energy-ev", "9000"]
    assert CliRunner().invoke(group, other).exit_code == 0
    told = read_checkpoint(Path("d")).instrument.wavelength_m
    assert told == pytest.approx(instrument.wavelength_m * 8_500 / 9_000)
