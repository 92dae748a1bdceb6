"""The split by region: strips that share no object pixel, each with frames."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wnet_edge.calibration.split import LEAST_FRAMES, Region, split_by_region
from wnet_edge.errors import ScanError


@given(seed=st.integers(0, 999), tall=st.booleans(), window_px=st.integers(8, 64))
def test_windows_of_different_strips_never_overlap(seed, tall, window_px):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 1, (500, 2)) * ((400, 300) if tall else (300, 400))
    split = split_by_region(positions, window_px)
    axis = 0 if tall else 1
    strips = [positions[split.frames(region), axis] for region in Region]
    for one, next_one in pairwise(strips):
        assert next_one.min() - one.max() >= window_px
    assert len(split.report) > len(split.selection)


@given(scale=st.floats(0.1, 3), offset=st.floats(-1e3, 1e3))
def test_the_first_and_last_frame_are_in_a_strip(scale, offset):
    positions = np.zeros((301, 2))
    positions[:, 1] = offset + scale * np.arange(301)
    split = split_by_region(positions, 8)
    assert split.selection[0] == 0
    assert split.calibration[-1] == 300


def raster(rows, columns, step_px=4.0):
    """Positions of a dense scan."""
    return np.stack(np.divmod(np.arange(rows * columns), columns), axis=1) * step_px


@pytest.mark.parametrize(("window_px", "lit_px"), [(64, 64), (64, 40), (128, 25)])
@pytest.mark.parametrize("rows", [6, 22, 27])
def test_strips_of_a_small_scan_are_closer_but_never_share_a_frame(rows, window_px, lit_px):
    positions = raster(rows, 22)
    split = split_by_region(positions, window_px, lit_px)
    assert split.gap_px < window_px
    strips = [split.frames(region) for region in Region]
    assert min(map(len, strips)) >= LEAST_FRAMES
    together = np.concatenate(strips)
    assert len(np.unique(together)) == len(together)
    along = int(np.argmax(np.ptp(positions, axis=0)))
    for one, next_one in pairwise(positions[strip, along] for strip in strips):
        assert next_one.min() - one.max() >= split.gap_px


def test_gaps_are_as_wide_as_the_beam_where_a_window_s_are_too_wide():
    positions = raster(40, 40)
    assert split_by_region(positions, 64, 25).gap_px == 64
    assert split_by_region(positions, 128, 25).gap_px == 25
    assert split_by_region(raster(8, 8), 128, 25).gap_px < 25


def test_frames_in_one_place_are_split_by_their_order():
    split = split_by_region(np.zeros((32, 2)), 64)
    assert [split.frames(region).tolist() for region in Region] == [
        list(range(8)),
        list(range(8, 24)),
        list(range(24, 32)),
    ]


def test_too_few_frames_are_refused():
    with pytest.raises(ScanError, match="27 frames are too few to be split into three blocks"):
        split_by_region(raster(3, 9), 64)
