"""The first look at a scan: odd pixels, and byte order."""

from pathlib import Path

import numpy as np
import pytest

from wnet_edge.errors import ScanError
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.scan_file import find_scan
from wnet_edge.runner.survey import survey


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
