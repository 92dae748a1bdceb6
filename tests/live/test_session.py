"""A running scan ends in the image of the recorded one, and loses no frame silently."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.live.session import LiveOptions, LiveScan
from wnet_edge.live.source import Begin, Frame, Loss, Lost
from wnet_edge.physics.orientation import Orientation
from wnet_edge.refining.options import RefineOptions

UP = Orientation.IDENTITY
OPTIONS = LiveOptions(orientation=UP)


def begin(found, **changes):
    # As binned on the detector: its pixels are as large as those of the frames.
    said = {
        "energy_ev": found.energy_ev.value,
        "distance_m": found.distance_m.value,
        "pixel_size_m": found.pixel_size_m.value,
        "mask": found.mask.value,
    }
    return Begin("scan247", **(said | changes))


def frames_of(found, scan, numbers=None):
    stored = found.frames.value[:]
    for number in range(len(stored)) if numbers is None else numbers:
        row_m, column_m = scan.positions_m[number].tolist()
        yield Frame(number, stored[number], perf_counter(), (row_m, column_m))


def agreement(image, recorded, scan):
    one, other = (
        ObjectImage("image", one.stitched.image, one.stitched.coverage, scan.object_pixel_size_m)
        for one in (image, recorded)
    )
    return compare(one, other)


@pytest.mark.parametrize("known", [True, False], ids=["positions known", "positions with frames"])
def test_the_image_is_that_of_the_recorded_scan(found, scan, opened, recorded, known):
    positions_m = scan.positions_m if known else None
    with LiveScan(begin(found, positions_m=positions_m), opened, OPTIONS) as live:
        assert live.look() is None
        for frame in frames_of(found, scan):
            live.add(frame)
            if frame.number == 200:
                early = live.look().snapshot()
        image = live.finish("done").scan_image().inference
    assert 100 < early.processed <= 201
    assert early.trusted
    assert early.windows_px.shape == (early.processed, 2)
    assert early.last.phase_rad.shape == (64, 64)
    assert (image.frames_received, image.frames_processed, image.frames_lost) == (481, 481, 0)
    alike = agreement(image, recorded, scan)
    assert alike.phase_correlation >= 0.9999
    assert image.self_check.trusted


def test_what_is_lost_is_counted_and_told(found, scan, opened):
    with LiveScan(begin(found), opened, OPTIONS) as live:
        frames = list(frames_of(found, scan, range(120)))
        for frame in frames:
            live.add(frame)
        live.add(frames[5])
        live.add(Frame(500, frames[0].counts, perf_counter()))
        live.add(Frame(501, frames[0].counts, perf_counter(), (np.nan, 0.0)))
        live.add(Frame(502, frames[0].counts[:5], perf_counter(), (0.0, 0.0)))
        live.lose(Lost(Loss.NEVER_RECEIVED, 7))
        live.process(everything=True)
        shown = live.look().snapshot()
        image = live.finish("done").scan_image().inference
    assert shown.received == 124
    assert shown.processed == 120
    assert shown.lost == {
        Loss.DUPLICATE: 1,
        Loss.WITHOUT_POSITION: 2,
        Loss.UNREADABLE: 1,
        Loss.NEVER_RECEIVED: 7,
    }
    sent = shown.received + shown.lost[Loss.NEVER_RECEIVED]
    assert sent == shown.processed + sum(shown.lost.values())
    assert (image.frames_received, image.frames_lost) == (131, 11)
    assert "7 frames never received" in image.warnings


def test_frames_in_any_order_make_the_same_image(found, scan, opened, recorded):
    numbers = np.random.default_rng(2).permutation(scan.frame_count)
    with LiveScan(begin(found), opened, OPTIONS) as live:
        for frame in frames_of(found, scan, numbers.tolist()):
            live.add(frame)
        made = live.finish("done").scan_image()
    assert agreement(made.inference, recorded, scan).phase_correlation >= 0.999
    np.testing.assert_array_equal(made.ready.framed.scan.frame_numbers, numbers)


def test_the_image_is_refined_at_the_end_by_frames_that_waited(found, scan, opened):
    pytest.importorskip("scipy")
    options = replace(OPTIONS, refining=RefineOptions(passes=2))
    with LiveScan(begin(found), opened, options) as live:
        for frame in frames_of(found, scan):
            live.add(frame)
        made = live.finish("done").scan_image().inference
    assert made.refinement.passes == 2
    assert made.self_check.fit.r_factor < 0.082
