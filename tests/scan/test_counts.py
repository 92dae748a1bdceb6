"""Binning, masking and normalisation: nothing lost, nothing moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wnet_edge.physics.binning import bin_frames
from wnet_edge.scan.counts import MASKED, network_counts, normalise


@given(binning=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 999))
def test_binning_keeps_every_count(binning, seed):
    frames = np.random.default_rng(seed).poisson(5, (2, 32, 16)).astype(np.float32)
    binned = bin_frames(frames, binning)
    assert binned.shape == (2, 32 // binning, 16 // binning)
    np.testing.assert_array_equal(binned.sum((1, 2)), frames.sum((1, 2)))


@pytest.mark.parametrize(("pixel", "bin_index"), [(63, 32), (64, 32), (65, 33), (62, 31), (127, 0)])
def test_pixels_63_and_64_form_bin_32(pixel, bin_index):
    frame = np.zeros((1, 128, 128), np.float32)
    frame[0, pixel, 64] = 1
    assert np.argwhere(bin_frames(frame, 2)[0]).tolist() == [[bin_index, 32]]


def test_binning_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="does not divide 10 × 10"):
        bin_frames(np.zeros((1, 10, 10), np.float32), 3)


def test_a_half_dead_bin_is_scaled_up_and_a_dead_one_masked():
    frames = np.full((1, 4, 4), 10, np.float32)
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True  # part of the bin that wraps around the corner
    mask[1:3, 1:3] = True
    counts = network_counts(frames, mask, 2)
    assert counts.shape == (1, 1, 2, 2)
    np.testing.assert_allclose(counts[0, 0], [[40, 40], [40, MASKED]])


def test_normalised_frames_have_mean_square_one_over_live_pixels():
    counts = np.random.default_rng(0).poisson(100, (3, 1, 8, 8)).astype(np.float32)
    counts[1, 0, :4] = MASKED
    squared = normalise(counts) ** 2
    np.testing.assert_allclose(squared[0].mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(squared[1, 0, 4:].mean(), 1, rtol=1e-5)
    assert not squared[1, 0, :4].any()


def test_normalisation_of_nothing_is_zero():
    empty, masked = np.zeros((1, 1, 8, 8), np.float32), np.full((1, 1, 8, 8), MASKED)
    assert not normalise(empty).any()
    assert not normalise(masked).any()
