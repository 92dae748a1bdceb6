"""The first look at a scan: odd pixels, byte order, and where the beam is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wnet_edge
from wnet_edge.errors import ScanError
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.scan_file import find_scan
from wnet_edge.orientation import Orientation, orient
from wnet_edge.package import find_package, open_package
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.probe import probe_far_field
from wnet_edge.runner.beam_centre import CONVINCING, find_beam_centre
from wnet_edge.runner.survey import survey

EXAMPLE = Path(wnet_edge.__file__).parent / "examples" / "cnm26id_scan247_64px.cxi"


def smooth(count=12, shape=(24, 40)):
    """Counts as a smooth beam gives them, nowhere zero."""
    y, x = np.indices(shape)
    mean = 20 + 400 * np.exp(-((y - 13) ** 2 + (x - 17) ** 2) / 60)
    return np.random.default_rng(0).poisson(mean, (count, *shape)).astype(np.uint32)


def found(frames, **parts):
    return FoundScan(Path("scan.h5"), "test", frames=Found(frames, "/frames"), **parts)


def test_odd_pixels_are_found_and_no_others():
    frames = smooth()
    frames[:, 3, 4] = 0
    frames[:, 20, 30] = 50_000
    frames[:, 0, 0] = 2**32 - 1
    frames[:, 7, :] = 2**32 - 2
    told = np.zeros(frames.shape[1:], bool)
    told[13, 17] = True
    seen = survey(found(frames, mask=Found(told, "/mask")))
    assert (seen.dead_px, seen.hot_px, seen.gap_px) == (1, 1, 41)
    expected = told.copy()
    expected[[3, 20, 0], [4, 30, 0]] = expected[7] = True
    np.testing.assert_array_equal(seen.mask, expected)
    assert seen.mean[seen.mask].sum() == 0
    assert len(seen.notes) == 3


def test_a_good_detector_has_no_odd_pixels():
    assert not survey(found(smooth())).mask.any()


def test_the_real_scan_has_no_odd_pixels_but_those_it_names(data_dir):
    scan = find_scan(data_dir / "cnm26id_scan247.cxi")
    seen = survey(scan)
    np.testing.assert_array_equal(seen.mask, scan.mask.value)
    assert seen.notes == ()


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
def test_swapped_bytes_are_told(dtype):
    frames = (smooth() // 2).astype(dtype)
    words = r"scan\.h5: /frames holds mostly multiples of 256, as .* byte order"
    with pytest.raises(ScanError, match=words):
        survey(found(frames.byteswap()))
    survey(found(frames.byteswap().view(frames.dtype.newbyteorder())))


@pytest.fixture(scope="module")
def probe():
    return open_package(find_package("w3")).probe


@pytest.mark.parametrize("orientation", Orientation)
def test_the_beam_is_found_on_a_large_detector(probe, orientation):
    far_field = probe_far_field(probe, 128)
    flat = expected_counts(np.ones((1, 128, 128), np.complex64), probe)[0]
    mean = np.zeros((200, 333), np.float32)
    mean[20:148, 190:318] = orient(flat, orientation.inverse)
    beam = find_beam_centre(mean, far_field, orientation)
    assert beam.centre_px == (84, 254)
    other = find_beam_centre(np.ones((200, 333), np.float32), far_field, orientation)
    assert other.agreement < CONVINCING


def test_the_beam_is_found_on_finer_and_coarser_detectors(probe):
    assert probe_far_field(probe, 256).shape == (256, 256)
    assert probe_far_field(probe, 64).shape == (64, 64)
    total = probe_far_field(probe, 128).sum()
    np.testing.assert_allclose(probe_far_field(probe, 64).sum(), total, rtol=1e-5)
    np.testing.assert_allclose(probe_far_field(probe, 256).sum(), total, rtol=1e-4)


def test_the_beam_of_a_real_scan_is_where_it_should_be(probe):
    scan = find_scan(EXAMPLE)
    mean = survey(replace(scan, mask=None)).mean
    beam = find_beam_centre(mean, probe_far_field(probe, 64), Orientation.IDENTITY)
    assert beam.centre_px == (32, 32)
    assert beam.agreement > 0.97
