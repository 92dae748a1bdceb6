"""Patches made elsewhere become the image of the recorded scan, and each frame is accounted for."""

import numpy as np
import pytest

from wnet_edge.cli.hpc_options import ended_by_a_line, options_from, shared_setup
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.live.collector import Collector
from wnet_edge.live.ndarray import ndarray_fields
from wnet_edge.live.patch import FAULT, Patch
from wnet_edge.live.patch_maker import PatchMaker
from wnet_edge.live.pv_scans import PositionNames, ScanRules
from wnet_edge.live.run import RunOptions
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.live.source import Loss
from wnet_edge.physics.orientation import Orientation

p4p = pytest.importorskip("p4p")
from p4p.nt import NTNDArray  # noqa: E402

UP = Orientation.IDENTITY
START_S = 1.8e9


@pytest.fixture(scope="module")
def setup(found, opened):
    return SharedSetup.of_recorded(found, opened, UP, UP)


@pytest.fixture(scope="module")
def patches(found, setup):
    """Of the first frames, made once."""
    maker = PatchMaker(setup)
    return [maker.patch(counts) for counts in found.frames.value[:60]]


class Told:
    """What a collector tells of its scans."""

    def __init__(self, setup, options=None, **rules):
        self.images, self.looks, self.failures, self.outside = [], [], [], []
        rules = ScanRules(first_number=1, positions=PositionNames(), **rules)
        options = options or RunOptions(look_s=1e6)
        viewers = [self.looks.append]
        self.collector = Collector("Patches", rules, setup, options, self, viewers)

    def began(self, begin):
        self.begin = begin

    def looked(self, snapshot):
        self.looks.append(snapshot)

    def save(self, image, *, ended):
        self.images.append((image.inference, ended))

    def failed(self, _, error):
        self.failures.append(str(error))

    def lost(self, lost):
        self.outside.append(lost)


def array(patch, number, position_m=(0.0, 0.0), **more):
    """An NTNDArray as a consumer publishes it."""
    row, column = map(float, position_m)
    attributes = {"PositionRow": row, "PositionColumn": column, **patch.attributes, **more}
    fields = ndarray_fields(patch.image, number, START_S + number, attributes)
    return p4p.Value(NTNDArray.buildType(), fields)


def test_all_patches_give_the_image_of_infer(found, scan, setup, recorded):
    told = Told(setup, frame_count=481)
    maker = PatchMaker(setup)
    for number, counts in enumerate(found.frames.value[:]):
        patch = maker.patch(counts)
        told.collector.take(array(patch, number + 1, scan.positions_m[number]))
    told.collector.tick()
    ((image, ended),) = told.images
    assert ended
    assert (image.frames_received, image.frames_processed, image.frames_lost) == (481, 481, 0)
    assert (told.collector.processed, told.collector.lost) == (481, 0)
    assert image.self_check.trusted
    one, other = (
        ObjectImage("image", made.stitched.image, made.stitched.coverage, scan.object_pixel_size_m)
        for made in (image, recorded)
    )
    assert compare(one, other).phase_correlation >= 0.9999
    assert told.looks[-1].ended == "the last of its 481 frames has come"
    assert told.looks[-1].kept


def test_an_image_is_seen_and_saved_while_patches_come(scan, setup, patches):
    told = Told(setup, RunOptions(look_s=0.0, save_s=0.0))
    for number, patch in enumerate(patches[:5]):
        told.collector.take(array(patch, number + 1, scan.positions_m[number]))
    told.collector.tick()
    told.collector.finish()
    images = [(image.frames_processed, ended) for image, ended in told.images]
    assert images == [(5, False), (5, True)]
    looks = [(look.processed, look.ended) for look in told.looks[::2]]  # one of two who are told
    assert looks == [(5, None), (5, "interrupted")]
    assert told.looks[0].last.number == 4


def test_a_frame_without_a_patch_is_counted_with_its_reason(scan, setup, patches):
    told = Told(setup)
    for number, patch in enumerate(patches):
        if number in (3, 4):  # whose consumer was killed
            continue
        more = {FAULT: "damaged lz4 data"} if number == 10 else {}
        if number == 11:
            more = {"Setup": "another"}
        elif number == 12:
            more = {"PositionRow": float("nan")}
        told.collector.take(array(patch, number + 1, scan.positions_m[number], **more))
    told.collector.finish()
    ((image, _),) = told.images
    assert (image.frames_received, image.frames_processed, image.frames_lost) == (60, 55, 5)
    lost = {Loss.NEVER_RECEIVED: 2, Loss.UNREADABLE: 2, Loss.WITHOUT_POSITION: 1}
    assert told.looks[-1].lost == lost
    assert (told.collector.processed, told.collector.lost) == (55, 5)
    warnings = "; ".join(image.warnings)
    assert "damaged lz4 data" in warnings
    assert "a consumer works by another setup; give all of them" in warnings


def test_what_is_no_patch_gives_no_image_and_says_why(setup, patches):
    told = Told(setup)
    fields = ndarray_fields(patches[0].image, 1, START_S, {"PositionRow": 0.0, "PositionColumn": 0})
    told.collector.take(p4p.Value(NTNDArray.buildType(), fields))
    told.collector.finish()
    (failure,) = told.failures
    assert "the scan ended without a patch of use" in failure
    assert "no patch of a wnet-edge consumer" in failure


def test_a_patch_is_the_same_after_its_way(patches):
    sent = patches[0]
    got = Patch.of(sent.image, sent.attributes)
    assert got.maker == sent.maker
    assert got.prepared.totals == sent.prepared.totals
    assert np.array_equal(got.prepared.counts, sent.prepared.counts)
    assert all(np.array_equal(*both) for both in zip(got.patches, sent.patches, strict=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Missing option '--scan'"),
        ({"scan": "example:scan247", "frmes": 3}, "No such option '--frmes'"),
        ({"scan": "example:scan247", "first_frames": 64}, "No such option '--first-frames'"),
        ({"scan": "example:scan247", "threads": "many"}, "Invalid value for '--threads'"),
        ({"scan": "gone.cxi"}, "gone.cxi: "),
        ({"scan": "example:scan247", "package": "w9"}, "w9: no embedded package of that name"),
    ],
)
def test_wrong_arguments_end_in_a_line(given, message):
    with pytest.raises(SystemExit) as ended, ended_by_a_line():
        shared_setup(options_from({**given, "inputChannel": "of pvaPy"}))
    said = str(ended.value.code)
    assert said.startswith("Error: ")
    assert message in said
    assert "\n" not in said
