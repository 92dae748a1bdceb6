"""The split by region: strips that share no object pixel, each with frames."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wnet_edge.calibration.split import Region, split_by_region
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


def test_a_scan_of_a_few_windows_is_refused():
    positions = np.random.default_rng(0).uniform(0, 100, (50, 2))
    with pytest.raises(ScanError, match="too small to be split"):
        split_by_region(positions, 64)
