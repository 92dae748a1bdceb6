"""From a detector's ZeroMQ stream to the image: that of the recorded scan, or one that says why."""

import threading

from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.framing.framing import Framing
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.bounded_queue import WhenBehind
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.live.source import Begin
from wnet_edge.live.zmq_publisher import ZmqPublisher
from wnet_edge.live.zmq_source import ZmqSource
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.image.infer import infer

UP = Orientation.IDENTITY


class Images:
    """Keeps what would be written and shown."""

    def __init__(self):
        self.whole, self.last = None, None

    def began(self, _):
        pass

    def looked(self, snapshot):
        self.last = snapshot

    def save(self, image, *, ended):
        self.whole = image if ended else self.whole

    def failed(self, _, error):
        raise error


def test_a_scan_that_is_streamed_becomes_the_image_of_the_recorded_one(opened):
    found = find_scan(EXAMPLE_SCAN)
    scan = Framing(found, opened.package).framed(UP, UP).scan
    begin = Begin(
        "",
        energy_ev=found.energy_ev.value,
        distance_m=found.distance_m.value,
        pixel_size_m=found.pixel_size_m.value,
        mask=found.mask.value,
        positions_m=scan.positions_m,
    )
    detector = ZmqPublisher("tcp://127.0.0.1:*")
    source = ZmqSource(detector.address, 2000, WhenBehind.BLOCK)

    def send():
        with detector:
            detector.publish(begin, found.frames.value[:], 1000.0)

    sending = threading.Thread(target=send)
    sending.start()
    images = Images()
    options = RunOptions(LiveOptions(orientation=UP), scans=1)
    run(source, opened, options, images, lambda: source.depth)
    sending.join()
    source.close()
    streamed = images.whole.inference
    assert (streamed.frames_processed, streamed.frames_lost) == (481, 0)
    assert streamed.self_check.trusted
    assert images.last.latency_p50_s < 5.0
    alike = compare(
        *(
            ObjectImage("", one.stitched.image, one.stitched.coverage, scan.object_pixel_size_m)
            for one in (streamed, infer(scan, opened))
        )
    )
    assert alike.phase_correlation >= 0.9999
