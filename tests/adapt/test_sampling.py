"""Window, binning and object pixel follow from the probe's size and the detector."""

import numpy as np
import pytest

from wnet_edge.adapt.sampling import choose_window
from wnet_edge.errors import ScanError

SPAN_M = 2e-6


def disc(radius, size_px=128):
    """A probe that lights a disc of some radius, as a fraction of the window's edge."""
    at = (np.arange(size_px) - size_px // 2) / size_px
    return (np.hypot(at[:, None], at) <= radius)[None].astype(np.complex64)


@pytest.mark.parametrize(
    ("radius", "detector_px", "window_px", "binning"),
    [
        (0.2, 128, 64, 2),  # fits in half of the field
        (0.35, 128, 128, 1),  # does not
        (0.1, 256, 64, 4),
        (0.2, 256, 128, 2),
        (0.1, 192, 64, 3),
        (0.1, 150, 64, 2),  # the detector's edge is not used
        (0.05, 1024, 64, 4),  # nor is most of a large one
    ],
)
def test_the_most_of_the_detector_through_the_smallest_network(
    radius, detector_px, window_px, binning
):
    chosen = choose_window(disc(radius), detector_px, SPAN_M, "scan.h5")
    assert (chosen.window_px, chosen.binning) == (window_px, binning)
    assert chosen.inside > 0.88
    assert f"{1e9 * SPAN_M / chosen.full_px:.4g} nm" in chosen.why


def test_frames_that_are_binned_already_are_binned_no_less():
    chosen = choose_window(disc(0.2), 128, SPAN_M, "scan.h5", stored_binning=2)
    assert (chosen.window_px, chosen.binning) == (64, 2)


def test_what_the_user_wants_is_taken():
    chosen = choose_window(disc(0.2), 128, SPAN_M, "scan.h5", window_px=128)
    assert (chosen.window_px, chosen.binning) == (128, 1)
    chosen = choose_window(disc(0.35), 128, SPAN_M, "scan.h5", window_px=64, binning=2)
    assert chosen.inside < 0.88


def test_a_probe_wider_than_the_field_is_refused_with_the_cure():
    with pytest.raises(ScanError, match=r"scan.h5: the probe is wider than the 2 µm .* move"):
        choose_window(disc(0.55), 128, SPAN_M, "scan.h5")


def test_a_detector_too_small_for_any_window_is_refused_with_the_cure():
    with pytest.raises(ScanError, match="frames of 32 px are too small"):
        choose_window(disc(0.1), 32, SPAN_M, "scan.h5")


def test_frames_binned_too_much_for_the_probe_are_refused_with_the_cure():
    with pytest.raises(ScanError, match=r"frames that sum 2 × 2 .* give frames as the detector"):
        choose_window(disc(0.35), 128, SPAN_M, "scan.h5", stored_binning=2)
