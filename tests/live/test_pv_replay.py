"""The embedded scan, published as a detector would and reconstructed live, is `infer`'s image."""

import threading

import numpy as np
import pytest
from loopback import LOOPBACK

pytest.importorskip("p4p")
from p4p.client.thread import Context

from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.live.pairing import Match
from wnet_edge.live.pv_outputs import PvOutputs
from wnet_edge.live.pv_publisher import PvPublisher
from wnet_edge.live.pv_scans import PositionNames, ScanRules
from wnet_edge.live.pv_source import PvSource
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.physics.orientation import Orientation

UP = Orientation.IDENTITY


class Shown:
    """Shows each look as PVs, and keeps the image at the end."""

    def __init__(self, outputs):
        self.outputs = outputs
        self.image = None
        self.looks = 0

    def began(self, begin):
        assert begin.frame_count == 481

    def looked(self, snapshot):
        self.outputs.show(snapshot)
        self.looks += 1

    def save(self, image, *, ended):
        self.image = image if ended else None

    def failed(self, _, error):
        raise error


@pytest.mark.parametrize("match", [None, Match.NUMBER], ids=["attributes", "another PV"])
def test_a_replay_gives_the_image_of_infer(found, scan, opened, recorded, match):
    reading = ReadOptions(
        energy_ev=found.energy_ev.value,
        distance_m=found.distance_m.value,
        pixel_size_m=found.pixel_size_m.value,
        mask=found.mask.value,
    )
    names = PositionNames()
    rules = ScanRules(1, frame_count=481, positions=names, position_match=match)
    position_pv = None if match is None else "test:Positions"
    publisher = PvPublisher("test:Image", position_pv, conf=LOOPBACK)
    source = PvSource("test:Image", rules, position_pv, conf=publisher.conf)
    outputs = PvOutputs("test:wnet", conf=LOOPBACK)
    shown = Shown(outputs)
    assert publisher.wait_for_client(30)
    work = threading.Thread(
        target=publisher.publish, args=(found.frames.value, scan.positions_m, 400.0)
    )
    work.start()
    options = RunOptions(LiveOptions(reading=reading, orientation=UP), 1.0, 60.0, scans=1)
    run(source, opened, options, shown, lambda: source.depth)
    work.join()

    live = shown.image.inference
    assert (live.frames_received, live.frames_processed, live.frames_lost) == (481, 481, 0)
    one, other = (
        ObjectImage("image", made.stitched.image, made.stitched.coverage, scan.object_pixel_size_m)
        for made in (live, recorded)
    )
    assert compare(one, other).phase_correlation >= 0.9999
    with Context("pva", conf=outputs.conf, useenv=False) as client:
        names = ("Received", "Processed", "Lost", "State", "Package")
        state = [client.get(f"test:wnet:{name}") for name in names]
        image = client.get("test:wnet:Amplitude")
    assert state == [481, 481, 0, "the last of its 481 frames has come", opened.package.name]
    assert image.shape == live.stitched.image.shape
    assert np.isfinite(image).any()
    assert shown.looks
    for one in (source, publisher, outputs):
        one.close()
