"""Scans of instruments that no training has seen: they read, and are of the right instrument."""

import shutil

import numpy as np
import pytest

from benchmarks.instruments.optics import BEAMLINES, InstrumentName
from benchmarks.instruments.scans import ScanName, scan_names, write_scans
from benchmarks.instruments.table import judged, package_path, print_table
from benchmarks.refinement.unseen import unseen_scan
from wnet_edge.comparing.comparison import compare
from wnet_edge.embedded import EXAMPLE_SCAN, find_package
from wnet_edge.framing.compatibility import check_far_field
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.scan_file import find_scan, open_scan
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.physics.probe import probe_far_field


@pytest.mark.parametrize("instrument", InstrumentName)
def test_a_scan_is_of_its_instrument_with_and_without_the_probe(tmp_path, instrument):
    write_scans(tmp_path, instrument, "circuit", 6, frames=4)
    beamline, full_px = BEAMLINES[instrument], BEAMLINES[instrument].frame_px
    known, unknown = (
        ScanName(instrument, "circuit", 6, with_probe).scan(tmp_path)
        for with_probe in (True, False)
    )
    check_far_field(find_scan(known))
    scan = open_scan(known)
    assert scan.frames[0].shape == (full_px, full_px)
    assert scan.object_pixel_size_m == pytest.approx(beamline.object_pixel_size_m)
    assert np.sum(np.abs(scan.probe) ** 2) == pytest.approx(1e6, rel=1e-3)
    assert open_scan(unknown).probe is None
    np.testing.assert_array_equal(open_scan(unknown).frames[:4], scan.frames[:4])
    np.testing.assert_array_equal(open_scan(unknown).positions_m, scan.positions_m)


@pytest.mark.parametrize("instrument", InstrumentName)
def test_the_true_object_is_one_that_compare_reads(tmp_path, instrument):
    write_scans(tmp_path, instrument, "star", 4, frames=4)
    truth = read_object_image(ScanName(instrument, "star", 4).truth(tmp_path))
    assert truth.pixel_size_m == pytest.approx(BEAMLINES[instrument].object_pixel_size_m)
    assert compare(truth, truth).phase_correlation == pytest.approx(1)


@pytest.mark.parametrize("instrument", InstrumentName)
def test_a_probe_fits_the_window_of_a_network(instrument):
    beamline = BEAMLINES[instrument]
    intensity = np.sum(np.abs(beamline.probe) ** 2, axis=0)
    window = slice(start := central_window_start_px(beamline.frame_px, 64), start + 64)
    assert intensity.sum() == pytest.approx(1, abs=1e-5)
    assert intensity[window, window].sum() > 0.95


def test_far_fields_are_those_of_the_optics():
    far = {name: probe_far_field(line.probe, line.frame_px) for name, line in BEAMLINES.items()}
    middle = {name: values[len(values) // 2] for name, values in far.items()}
    assert middle[InstrumentName.ZONE_PLATE][64] < 1e-6 * middle[InstrumentName.ZONE_PLATE].max()
    lit = far[InstrumentName.MIRRORS] > 0.5 * far[InstrumentName.MIRRORS].max()
    rows, columns = lit.any(axis=1).sum(), lit.any(axis=0).sum()
    assert lit.sum() == rows * columns
    assert columns > 1.3 * rows
    airy = middle[InstrumentName.PINHOLE][64:74]
    assert airy[5] < airy[6] > airy[8]  # the first bright ring


def test_the_set_is_three_objects_at_four_fluxes_with_and_without_the_probe(tmp_path):
    files = {name.scan(tmp_path) for name in scan_names()}
    assert len(files) == 3 * 3 * 4 * 2
    assert tmp_path / "pinhole_cells_1e4_noprobe.cxi" in files


def test_the_table_says_what_is_missing_and_how_it_is_made(tmp_path, capsys):
    print_table(tmp_path)
    assert f"benchmarks.instruments simulate {tmp_path}" in capsys.readouterr().out
    write_scans(tmp_path, InstrumentName.PINHOLE, "star", 6, frames=4)
    print_table(tmp_path)
    scan, package = tmp_path / "pinhole_star_1e6.cxi", tmp_path / "pinhole.wnet"
    assert f"`wnet-edge adapt {scan} -o {package}`" in capsys.readouterr().out


def test_a_scan_that_is_refused_has_its_row(tmp_path, capsys):
    write_scans(tmp_path, InstrumentName.PINHOLE, "star", 6, frames=4)
    shutil.copy(find_package("w3"), tmp_path / "pinhole.wnet")
    print_table(tmp_path)
    row = next(line for line in capsys.readouterr().out.splitlines() if "star" in line)
    assert row.startswith("| pinhole | yes | star | 1e6 | Error: ")
    assert "an object pixel is" in row


@pytest.mark.slow
def test_an_image_is_compared_with_its_object(tmp_path):
    """The example's package on a scan of its own probe, as if that were the instrument."""
    instrument = InstrumentName.ZONE_PLATE
    name = ScanName(instrument, "cells", 6)
    known = unseen_scan(tmp_path, "cells", 1e6, EXAMPLE_SCAN)
    shutil.copy(known, name.scan(tmp_path))
    shutil.copy(known.with_suffix(".npz"), name.truth(tmp_path))
    shutil.copy(find_package("w3"), package_path(tmp_path, name))
    alone, refined = judged(tmp_path, name), judged(tmp_path, name, "--refine", "2")
    assert alone.trusted
    assert 0.9 < alone.correlation < refined.correlation < 1
    assert refined.r_factor < alone.r_factor
