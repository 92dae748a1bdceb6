"""Ptychodus: products, real and written by Ptychodus itself, and what of them is refused."""

import h5py
import numpy as np
import pytest
from known_data import small
from reader_checks import assert_same_positions, swap, write

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


def test_real_ptychodus_product(data_dir):
    found = find_scan(data_dir / "ptychodus_product_w250.h5")
    assert found.format == "Ptychodus product"
    assert found.frames is None
    assert found.positions.value.values.shape == (961, 2)
    assert (found.energy_ev.value, found.distance_m.value) == (10_000, 1)
    assert found.probe.value.shape == (2, 256, 256)
    assert found.probe_pixel_size_m is None
    with h5py.File(data_dir / "ptychodus_product_w250.h5") as file:
        np.testing.assert_array_equal(
            found.positions.value.values.T, [file["probe_position_y_m"], file["probe_position_x_m"]]
        )


def test_product_positions_go_by_the_frames_they_name(tmp_path, known):
    path, options = write("ptychodus-product", tmp_path, known)
    with h5py.File(tmp_path / "product.h5", "a") as file:
        left = [11, 0, 1, 2, 3, 10, 9, 8, 7, 6, 5]
        swap(file, "probe_position_indexes", left)
        for axis, name in enumerate("yx"):
            swap(file, f"probe_position_{name}_m", known.positions_m[left, axis])
    scan = open_scan(path, options)
    assert scan.left_out.tolist() == [False] * 4 + [True] + [False] * 7
    np.testing.assert_array_equal(scan.positions_m[5:], known.positions_m[5:])


def test_product_with_coherent_modes_gives_the_main_one(tmp_path, known):
    path, options = write("ptychodus-product", tmp_path, known)
    with h5py.File(tmp_path / "product.h5", "a") as file:
        swap(file, "probe", np.stack([known.probe, known.probe * 0.1]))
    np.testing.assert_array_equal(open_scan(path, options).probe, known.probe)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("probe_position_x_m", np.zeros(11), "/probe_position_x_m is float64 (11,)"),
        ("probe_position_indexes", np.arange(12) - 1, "is not within 0 … 9999999"),
        ("probe_position_indexes", np.arange(12) / 2, "holds 0.5, which is not a frame number"),
        ("probe_position_indexes", np.zeros(12, int), "holds frame number 0 12 times"),
        ("probe", np.zeros((2, 32, 32)), "/probe is float64"),
    ],
)
def test_product_refusals(tmp_path, known, name, value, words):
    write("ptychodus-product", tmp_path, known)
    path = tmp_path / "product.h5"
    with h5py.File(path, "a") as file:
        swap(file, name, value)
    found = find_scan(path)
    part = found.probe if name == "probe" else found.positions
    with pytest.raises(ScanError) as caught:
        _ = part.value
    assert words in str(caught.value)
    # A flag stands in for what can't be used.
    other = find_scan(path, ReadOptions(probe="none", energy_ev=9000.0))
    assert other.probe is None


def test_product_of_a_near_field_says_so(tmp_path, known):
    write("ptychodus-product", tmp_path, known)
    with h5py.File(tmp_path / "product.h5", "a") as file:
        file.attrs["far_field"] = False
    assert find_scan(tmp_path / "product.h5").near_field


def test_product_that_ptychodus_writes(tmp_path, known):
    io = pytest.importorskip("ptychodus.api.io")
    from ptychodus.api.geometry import PixelGeometry
    from ptychodus.api.object import Object, ObjectCenter
    from ptychodus.api.probe import ProbeSequence
    from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
    from ptychodus.api.product import Product, ProductMetadata

    pixel = PixelGeometry(known.object_pixel_size_m, known.object_pixel_size_m)
    metadata = ProductMetadata(
        "s", "", known.geometry.distance_m, known.geometry.energy_ev, 0, 0, 0, 0
    )
    product = Product(
        metadata,
        ProbePositionSequence(
            [ProbePosition(n, x, y) for n, (y, x) in enumerate(known.positions_m.tolist())]
        ),
        ProbeSequence(known.probe[None], None, pixel),
        Object(np.ones((1, 99, 99), complex), pixel, ObjectCenter(0, 0), []),
        [],
    )
    io.save_product(tmp_path / "written.h5", product)
    found = find_scan(tmp_path / "written.h5")
    assert_same_positions(found.positions.value.values, known)
    np.testing.assert_array_equal(found.probe.value, known.probe)
    assert found.energy_ev.value == known.geometry.energy_ev
    assert found.distance_m.value == known.geometry.distance_m
    assert found.probe_pixel_size_m == known.object_pixel_size_m
