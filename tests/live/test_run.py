"""Scans one after the other from one source: looks on the way, an image at each end."""

from dataclasses import replace
from threading import Event
from time import perf_counter, sleep

import numpy as np
import pytest
from tiny import GEOMETRY

from wnet_edge.errors import ScanError
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions

OPTIONS = RunOptions(
    LiveOptions(first_frames=9, orientation=Orientation.IDENTITY), look_s=0.0, save_s=0.0
)


class Told:
    """A source of events that are known, and who is told of what becomes of them."""

    def __init__(self, events):
        self.events = list(events)
        self.begun, self.looks, self.saved, self.failures, self.outside = [], [], [], [], []

    def next(self, timeout_s):
        assert 0 <= timeout_s <= 1
        event = self.events.pop(0)
        if event is None:
            sleep(0.01)
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self):
        self.events.clear()

    def began(self, begin):
        self.begun.append(begin.name)

    def looked(self, snapshot):
        self.looks.append(snapshot)

    def save(self, image, *, ended):
        self.saved.append((image, ended))

    def lost(self, lost):
        self.outside.append(lost.frames)

    def failed(self, begin, error):
        self.failures.append((begin.name, str(error)))


@pytest.fixture(scope="module")
def opened(known, tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "known.wnet"
    write_package(path, known.content())
    return open_best_graph(open_package(path), RunnerOptions(provider=Provider.CPU, batch_size=8))


def scan_events(known, name, frames=36):
    geometry = {
        "energy_ev": GEOMETRY.energy_ev,
        "distance_m": GEOMETRY.distance_m,
        "pixel_size_m": GEOMETRY.detector_pixel_size_m,
    }
    positions_m = known.corners * GEOMETRY.object_pixel_size_m(known.full_px)
    yield Begin(name, **geometry, positions_m=positions_m, frame_count=len(positions_m))
    for number in range(frames):
        yield Frame(number, known.frames[number], perf_counter())
        yield None  # nothing came for a while
    yield End("the series has ended")


def test_scans_follow_each_other_without_a_restart(known, opened):
    between = [None, Lost(Loss.UNREADABLE, 3, "garbage")]
    told = Told([*scan_events(known, "one"), *between, *scan_events(known, "two", frames=20)])
    run(told, opened, replace(OPTIONS, scans=2), told)
    assert told.begun == ["one", "two"]
    assert not told.failures
    assert told.outside == [3]
    images = [image.inference for image, ended in told.saved if ended]
    assert [image.frames_processed for image in images] == [36, 20]
    early = [image for image, ended in told.saved if not ended]
    assert early
    assert early[0].inference.frames_processed < 36
    processed = [look.processed for look in told.looks if look.scan == "one"]
    assert processed == sorted(processed)
    assert told.looks[-1].ended == "the series has ended"


def test_a_scan_that_can_not_be_is_told_and_the_next_one_goes_on(known, opened):
    events = [*scan_events(known, "near")]
    wrong = replace(events[0], distance_m=2 * GEOMETRY.distance_m)
    told = Told([wrong, *events[1:], *scan_events(known, "good")])
    run(told, opened, replace(OPTIONS, scans=2), told)
    ((name, message),) = told.failures
    assert name == "near"
    assert "make a package for this instrument" in message
    assert [image.scan.name for image, ended in told.saved if ended] == ["good"]


def test_a_scan_without_frames_is_told(known, opened):
    events = [*scan_events(known, "empty")]
    told = Told([events[0], Lost(Loss.NEVER_RECEIVED, 36), events[-1]])
    run(told, opened, replace(OPTIONS, scans=1), told)
    assert told.failures == [
        ("empty", "empty: the scan ended without a frame; 36 frames never received")
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ScanError("gone.h5: is gone")])
def test_the_image_so_far_is_saved_whatever_stops_it(known, opened, stop):
    told = Told([*[*scan_events(known, "one")][:60], stop])
    with pytest.raises(type(stop)):
        run(told, opened, replace(OPTIONS, scans=1), told)
    image, ended = told.saved[-1]
    assert ended
    assert image.inference.frames_processed == 30
    assert image.inference.warnings[0] == "the scan was stopped after 30 of 36 frames"
    running, ended = told.saved[0]
    assert not ended
    assert running.inference.warnings[0].startswith("the scan was still running, after ")
    assert told.looks[-1].ended == "interrupted"


def test_the_last_frames_are_not_stuck_below_a_full_batch(known, opened):
    events = [*scan_events(known, "one", frames=12)][:-1]
    told = Told([*events, *[None] * 20, End("done")])
    patient = replace(OPTIONS, live=replace(OPTIONS.live, batch_wait_s=0.0), scans=1)
    run(told, opened, patient, told)
    before_the_end = [look.processed for look in told.looks if look.ended is None]
    assert before_the_end[-1] == 12
    np.testing.assert_array_less(-1e-9, told.looks[-1].latency_p99_s)


class Patient(Told):
    """Saves a scan only once the next one has been taken."""

    def __init__(self, events):
        super().__init__(events)
        self.next_one_is_over = Event()

    def save(self, image, *, ended):
        if ended and not self.next_one_is_over.wait(60):
            raise AssertionError("the next scan waits for this one")
        super().save(image, ended=ended)

    def next(self, timeout_s):
        event = super().next(timeout_s)
        if isinstance(event, End) and event.reason == "over":
            self.next_one_is_over.set()
        return event


def test_a_scan_is_saved_while_the_next_one_is_taken(known, opened):
    told = Patient([*scan_events(known, "one"), *[*scan_events(known, "two")][:-1], End("over")])
    run(told, opened, replace(OPTIONS, scans=2), told)
    saved = [
        (image.scan.name, image.inference.frames_processed) for image, end in told.saved if end
    ]
    assert saved == [("one", 36), ("two", 36)]
