"""What the page shows of a snapshot."""

import json

import numpy as np
import pytest
from live_snapshots import PIXEL_M, snapshot

from wnet_edge.live.page.page_look import MOST_PX, PageLook, shown


def test_large_images_are_shrunk_to_a_screen():
    size_px = (2 * MOST_PX + 1, 40)
    look = PageLook(1, 1, snapshot(40, size_px=size_px))
    picture = look.pictures["amplitude"]
    assert max(picture.values.shape) <= MOST_PX
    assert picture.height_um >= 1e6 * PIXEL_M * size_px[0]
    expected = look.snapshot.amplitude[300:303].mean()
    assert picture.values[100].mean() == pytest.approx(expected)


def test_means_leave_out_what_is_not_there_and_phases_are_averaged_as_angles():
    image = np.zeros((2, 4), np.complex64)
    image[0, :2] = 3 * np.exp(1j * np.float32([np.pi - 0.1, -np.pi + 0.1]))
    look = snapshot(8, image=image, coverage=(image != 0).astype(np.float32))
    phase, amplitude = shown(look, 2)
    np.testing.assert_allclose(np.abs(phase), [[np.pi, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(amplitude, [[3, np.nan]], rtol=1e-6)


def test_an_image_that_fits_is_sent_as_it_is():
    look = PageLook(1, 1, snapshot(40, first_row_px=-20))
    picture = look.pictures["phase"]
    assert picture.values is look.snapshot.phase
    assert picture.y_um == pytest.approx(-20e6 * PIXEL_M)


def test_masked_pixels_of_a_frame_are_empty():
    last = snapshot(8).last
    last.counts[3] = -1
    frame = PageLook(1, 1, snapshot(8, last=last)).pictures["frame"]
    assert np.isnan(frame.values[3]).all()


@pytest.mark.parametrize(
    "values",
    [
        {"r_factor": float("nan")},
        {"coverage": np.zeros((96, 96), np.float32)},
        {"image": np.ones((96, 96), np.complex64)},
        {"last": None, "kept": {}, "expected": None, "r_factor": None, "trusted": None},
    ],
)
def test_numbers_are_json_whatever_they_are(values):
    status = PageLook(1, 1, snapshot(8, **values)).status
    json.dumps(status, allow_nan=False)
    low, high = status["ranges"]["phase"]
    assert low < high
