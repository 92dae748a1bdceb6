"""From detector to window: cropping, centring and turning, and what counts as a count."""

from itertools import product

import numpy as np
import pytest

from wnet_edge.physics.orientation import Orientation, orient, orient_positions
from wnet_edge.scan.detector_window import DetectorWindow, WindowFrames, as_counts

RNG = np.random.default_rng(0)
FRAMES = RNG.poisson(9, (5, 20, 30)).astype(np.uint16)


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("size_px", [8, 9])
def test_the_beam_goes_to_the_middle_whichever_way_up(orientation, size_px):
    frames = FRAMES.copy()
    frames[:, 11, 14] = 999
    window = DetectorWindow((20, 30), size_px, (11, 14), orientation=orientation)
    seen = WindowFrames(frames, window)[:]
    assert seen.shape == (5, size_px, size_px)
    assert (seen[:, size_px // 2, size_px // 2] == 999).all()
    assert window.outside_px == 0


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("corner", [False, True])
def test_a_window_undoes_what_was_done_to_the_frames(orientation, corner):
    square = FRAMES[:, :16, :16]
    stored = orient(square, orientation.inverse)
    if corner:
        stored = np.fft.ifftshift(stored, axes=(-2, -1))
    window = DetectorWindow((16, 16), 16, (8, 8), from_corner=corner, orientation=orientation)
    np.testing.assert_array_equal(WindowFrames(stored, window)[:], square)
    np.testing.assert_array_equal(WindowFrames(stored, window)[3], square[3])
    np.testing.assert_array_equal(window.cut(stored[0] > 9), square[0] > 9)


def test_what_lies_beyond_the_edge_is_masked():
    window = DetectorWindow((20, 30), 8, (2, 29))
    seen, mask = window.read(FRAMES, slice(None)), window.cut(np.zeros((20, 30), bool), fill=True)
    assert window.outside_px == mask.sum() == 8 * 8 - 6 * 5
    np.testing.assert_array_equal(seen[:, 2:, :5], FRAMES[:, :6, 25:])
    assert mask[:2].all()
    assert mask[:, 5:].all()
    assert not mask[2:, :5].any()


def test_reading_and_cutting_agree():
    for centre in product((3, 10, 19), (0, 15, 28)):
        window = DetectorWindow((20, 30), 8, centre, orientation=Orientation.TRANSPOSE)
        np.testing.assert_array_equal(window.read(FRAMES, slice(1, 4)), window.cut(FRAMES[1:4]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32, ">u4"])
def test_the_marks_of_a_detector_are_no_counts(dtype):
    top = np.iinfo(dtype).max
    counts = as_counts(np.array([0, 7, top - 2, top - 1, top], dtype))
    np.testing.assert_array_equal(counts[:2], [0, 7])
    assert np.isfinite(counts[2])
    assert np.isnan(counts[3:]).all()
    assert counts.dtype == np.float32


@pytest.mark.parametrize("orientation", Orientation)
def test_positions_turn_with_the_object(orientation):
    """A pixel of an image and its coordinates go the same way, up to a constant."""
    image = np.zeros((7, 7))
    places = np.array([[1, 2], [1, 5], [4, 2]])
    image[tuple(places.T)] = [1, 2, 3]
    turned = orient(image, orientation)
    moved = np.array([np.argwhere(turned == value)[0] for value in (1, 2, 3)])
    expected = orient_positions(places.astype(float), orientation)
    np.testing.assert_array_equal(moved - moved[0], expected - expected[0])
    back = orient_positions(expected, orientation.inverse)
    np.testing.assert_array_equal(back, places)
