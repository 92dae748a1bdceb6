"""The growing image and its state as PVs that any EPICS client reads."""

import numpy as np
import pytest
from loopback import LOOPBACK

pytest.importorskip("p4p")
from p4p.client.thread import Context, RemoteError

from wnet_edge.live.pv_outputs import PvOutputs
from wnet_edge.live.snapshot import Snapshot
from wnet_edge.live.source import Loss

RANDOM = np.random.default_rng(2)


def snapshot(rows, columns, **other):
    phase, amplitude, coverage = RANDOM.random((3, rows, columns)).astype("f4")
    coverage[:2] = 0
    fields = {
        "scan": "X_20260101",
        "image": amplitude * np.exp(1j * phase),
        "coverage": coverage,
        "pixel_size_m": 7.5e-9,
        "origin_px": (-4, 12),
        "windows_px": np.zeros((0, 2)),
        "window_px": 16,
        "frame_numbers": np.zeros(0, np.int64),
        "kept": {},
        "received": 120,
        "processed": 117,
        "lost": {Loss.DROPPED: 2, Loss.DUPLICATE: 1},
        "queue_depth": 3,
        "frames_per_second": 999.5,
        "latency_p50_s": 0.004,
        "latency_p99_s": 0.011,
        "package": "tiny",
        "precision": "fp16",
    }
    return Snapshot(**(fields | other))


@pytest.fixture
def outputs():
    outputs = PvOutputs("test:wnet", conf=LOOPBACK)
    yield outputs
    outputs.close()


@pytest.fixture
def client(outputs):
    with Context("pva", conf=outputs.conf, useenv=False) as client:
        yield client


def test_the_image_and_its_place(outputs, client):
    shown = snapshot(20, 31)
    outputs.show(shown)
    for name in ("Phase", "Amplitude", "Coverage"):
        image = client.get(f"test:wnet:{name}")
        np.testing.assert_array_equal(image, getattr(shown, name.lower()))
        assert image.dtype == np.float32
        assert image.attrib["ColorMode"] == 0
        assert image.attrib["PixelSize_m"] == 7.5e-9
        assert (image.attrib["OriginRow_px"], image.attrib["OriginColumn_px"]) == (-4, 12)
        assert image.attrib["Scan"] == "X_20260101"
        assert image.timestamp > 1.7e9


def test_the_image_grows_under_one_number(outputs, client):
    for rows in (10, 20, 30):
        outputs.show(snapshot(rows, 2 * rows))
    images = client.get(["test:wnet:Phase", "test:wnet:Coverage"])
    assert [image.shape for image in images] == [(30, 60)] * 2
    assert [image.raw["uniqueId"] for image in images] == [3, 3]
    assert images[0].timestamp == images[1].timestamp


def test_the_state(outputs, client):
    outputs.show(snapshot(4, 4, r_factor=0.21))
    expected = {
        "Scan": "X_20260101",
        "State": "running",
        "Received": 120,
        "Processed": 117,
        "Lost": 3,
        "QueueDepth": 3,
        "Rate": 999.5,
        "LatencyP50": 0.004,
        "LatencyP99": 0.011,
        "RFactor": 0.21,
        "Package": "tiny",
        "Precision": "fp16",
    }
    assert {name: client.get(f"test:wnet:{name}") for name in expected} == expected
    images = ["Amplitude", "Coverage", "Phase"]
    assert outputs.names == sorted(f"test:wnet:{name}" for name in [*expected, *images])


def test_units_and_descriptions_come_along(outputs, client):
    outputs.show(snapshot(4, 4))
    latency = client.get("test:wnet:LatencyP99").raw
    assert latency["display.units"] == "s"
    assert latency["display.description"] == "99th percentile of the time from frame to image"


def test_before_the_first_frame(outputs, client):
    assert client.get("test:wnet:Received") == 0
    assert np.isnan(client.get("test:wnet:RFactor"))
    assert client.get("test:wnet:Phase").size == 0
    outputs.show(snapshot(0, 0))
    assert client.get("test:wnet:Phase").size == 0


def test_the_end_is_told(outputs, client):
    outputs.show(snapshot(4, 4, ended="the writer has closed the file"))
    assert client.get("test:wnet:State") == "the writer has closed the file"


def test_nobody_writes_to_them(outputs, client):
    outputs.show(snapshot(4, 4))
    with pytest.raises(RemoteError):
        client.put("test:wnet:Received", 5)
    assert client.get("test:wnet:Received") == 120


def test_a_viewer_that_stops_reading_holds_nobody_up(outputs, client):
    monitor = client.monitor(
        "test:wnet:Phase", lambda _: None, request="field()record[queueSize=2]"
    )
    for _ in range(50):
        outputs.show(snapshot(200, 300))
    monitor.close()
    assert client.get("test:wnet:Received") == 120
