"""DECTRIS Stream V2: what a detector says, and that no message can do harm."""

import gzip
import io
import json
import tracemalloc
from datetime import datetime, timezone
from itertools import pairwise

import cbor2
import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wnet_edge.live.dectris_stream import TYPES, decode
from wnet_edge.live.detector_message import Series
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

IMAGE = {"type": "image", "series_id": 7, "image_id": 3}
START = {"type": "start", "series_id": 7, "channels": ["threshold_1"]}
COUNTS = np.arange(12, dtype=np.uint32).reshape(3, 4)
TAG = cbor2.CBORTag


def typed(counts, tag=70, stored=None):
    return TAG(40, [list(counts.shape), TAG(tag, counts.tobytes() if stored is None else stored)])


def image(**fields):
    return cbor2.dumps({**IMAGE, "data": {"threshold_1": typed(COUNTS)}, **fields})


def event(message, channel=None):
    return decode(message, 1.5, channel).event


def packed(counts, **filters):
    """The chunk as the HDF5 filter of bitshuffle or LZ4 leaves it, which is what Dectris sends."""
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("counts", data=counts, chunks=counts.shape, **filters)
        return dataset.id.read_direct_chunk((0, 0))[1]


def messages_of(data_dir):
    """The messages of the real series, one after the other."""
    stored = io.BytesIO(gzip.decompress((data_dir / "dectris_stream_v2.cbors.gz").read_bytes()))
    ends = [0]
    while stored.tell() < stored.getbuffer().nbytes:
        cbor2.load(stored)
        ends.append(stored.tell())
    whole = stored.getvalue()
    return [whole[begin:end] for begin, end in pairwise(ends)]


def test_a_real_series_of_an_eiger_is_understood(data_dir):
    start, *images, end = (decode(message, 0.0) for message in messages_of(data_dir))
    begin = start.event
    assert isinstance(begin, Begin)
    assert (begin.name, begin.frame_count) == ("series_16", 10)
    assert (begin.energy_ev, begin.pixel_size_m) == (8000.0, 75e-6)
    assert (begin.distance_m, begin.beam_centre_px) == (None, None)  # never set
    assert begin.mask.shape == (1065, 1030)
    assert begin.mask[514:551].all()  # the gap between the modules
    assert 0.03 < begin.mask.mean() < 0.1
    assert isinstance(end.event, End)
    assert {message.series for message in (start, *images, end)} == {start.series}
    assert [message.number for message in images] == list(range(10))
    for message in images:
        counts = message.event.counts
        assert (counts.shape, counts.dtype) == ((1065, 1030), np.uint32)
        assert (counts[begin.mask] == 2**32 - 1).mean() > 0.99
    first_s = datetime(2024, 3, 7, 13, 43, 36, 199987, timezone.utc).timestamp()
    assert images[0].event.published_s == pytest.approx(first_s, abs=1e-3)


def test_an_image_of_a_real_series_is_what_hdf5_makes_of_its_bytes(data_dir, tmp_path):
    message = messages_of(data_dir)[4]
    stored = cbor2.loads(message)["data"]["threshold_1"].value[1].value.value[2]
    with h5py.File(tmp_path / "chunk.h5", "w") as file:
        chunked = file.create_dataset(
            "counts", (1065, 1030), "u4", chunks=(1065, 1030), **hdf5plugin.Bitshuffle()
        )
        chunked.id.write_direct_chunk((0, 0), stored)
        np.testing.assert_array_equal(event(message).counts, chunked[:])


@pytest.mark.parametrize("tag", TYPES)
def test_every_type_of_numbers_comes_in_the_byte_order_of_this_machine(tag):
    counts = np.array([[0, 1, 2], [100, 101, 127]], TYPES[tag])
    got = event(image(data={"threshold_1": typed(counts, tag)})).counts
    np.testing.assert_array_equal(got, counts)
    assert got.dtype.isnative
    assert (got.dtype.kind, got.dtype.itemsize) == (counts.dtype.kind, counts.dtype.itemsize)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4"])
def test_compressed_images_are_those_of_hdf5s_filters(algorithm, dtype):
    counts = np.random.default_rng(1).poisson(2.0, (65, 70)).astype(dtype)
    filters = {"bslz4": hdf5plugin.Bitshuffle, "lz4": hdf5plugin.LZ4}[algorithm]()
    stored = TAG(56500, [algorithm, counts.itemsize, packed(counts, **filters)])
    tag = {"u1": 64, "u2": 69, "u4": 70}[dtype]
    got = event(image(data={"threshold_1": typed(counts, tag, stored)})).counts
    np.testing.assert_array_equal(got, counts)


def test_the_first_threshold_is_taken_or_the_one_that_is_named():
    both = image(data={"threshold_1": typed(COUNTS), "threshold_2": typed(COUNTS + 1)})
    np.testing.assert_array_equal(event(both).counts, COUNTS)
    np.testing.assert_array_equal(event(both, "threshold_2").counts, COUNTS + 1)
    assert event(both, "high") == Lost(
        Loss.UNREADABLE,
        1,
        "image message: data has no channel 'high', only threshold_1, threshold_2",
    )


def test_the_start_gives_the_geometry_and_the_mask_of_the_threshold():
    mask = np.zeros((3, 4), np.uint32)
    mask[1, 2] = 8
    begin = event(
        cbor2.dumps(
            {
                **START,
                "beam_center_x": 514.5,
                "beam_center_y": 532.25,
                "incident_energy": 12_400,
                "detector_distance": 2.5,
                "pixel_size_x": 75e-6,
                "pixel_size_y": 75e-6,
                "pixel_mask": {"threshold_1": typed(mask * 0), "threshold_2": typed(mask)},
                "number_of_images": 400,
                "of_the_future": [1, {"any": TAG(9999, "thing")}],
            }
        ),
        "threshold_2",
    )
    assert begin.beam_centre_px == (532.25, 514.5)
    assert (begin.energy_ev, begin.distance_m, begin.pixel_size_m) == (12_400.0, 2.5, 75e-6)
    assert begin.frame_count == 400
    np.testing.assert_array_equal(begin.mask, mask != 0)


def test_a_detector_that_gives_a_translation_has_its_distance_there():
    translated = cbor2.dumps({**START, "detector_translation": [0.0, 0.0, 1.75]})
    assert event(translated).distance_m == 1.75


def test_a_start_of_few_words_says_nothing_of_the_rest():
    begin = event(cbor2.dumps(START))
    said = (begin.energy_ev, begin.distance_m, begin.pixel_size_m, begin.mask, begin.frame_count)
    assert said == (None,) * 5


@pytest.mark.parametrize("written", [dict, json.dumps])
def test_positions_may_come_with_the_images_or_with_the_start(written):
    given_m = (1.25e-6, -3.1000000000000004e-6)
    assert event(image(user_data=written({"position_m": given_m}))).position_m == given_m
    start = cbor2.dumps({**START, "user_data": written({"positions_m": [given_m, (0, 1e-6)]})})
    np.testing.assert_array_equal(event(start).positions_m, [given_m, (0, 1e-6)])


@pytest.mark.parametrize(
    "data",
    ["", "a note", "[" * 100_000, 5, {"position_m": [1e-6]}, {"position_m": [float("nan"), 0.0]}],
    ids=["empty", "text", "brackets", "number", "one", "nan"],
)
def test_an_image_without_a_pair_of_numbers_has_no_position(data):
    frame = event(image(user_data=data))
    assert isinstance(frame, Frame)
    assert frame.position_m is None


def test_a_message_of_another_type_is_passed_over():
    assert decode(cbor2.dumps({"type": "metadata", "series_id": 7}), 0.0) is None


WRONG = {
    "shape": ({"data": {"t": TAG(40, [[3, 5], TAG(70, COUNTS.tobytes())])}}, "not of the size"),
    "no tag": ({"data": {"t": COUNTS.tobytes()}}, "lacks CBOR's tag 40"),
    "1-D": ({"data": {"t": TAG(40, [[12], TAG(70, COUNTS.tobytes())])}}, "not two-dimensional"),
    "negative": ({"data": {"t": TAG(40, [[-3, -4], TAG(70, b"")])}}, "between 1 and 8192 px"),
    "true": ({"data": {"t": TAG(40, [[True, 1], TAG(64, b"0")])}}, "between 1 and 8192 px"),
    "128 bits": ({"data": {"t": typed(COUNTS, 87)}}, "of an unknown type"),
    "untyped": ({"data": {"t": TAG(40, [[1, 2], [1, 2]])}}, "of an unknown type"),
    "no data": ({"data": None}, "names no channel"),
    "no channel": ({"data": {}}, "names no channel"),
    "zstd": (
        {"data": {"t": typed(COUNTS, 70, TAG(56500, ["zstd", 4, b""]))}},
        "set the detector's compression to bslz4 or lz4",
    ),
    "element": (
        {"data": {"t": typed(COUNTS, 70, TAG(56500, ["bslz4", 3, b""]))}},
        "impossible element size",
    ),
    "damaged": (
        {"data": {"t": typed(COUNTS, 70, TAG(56500, ["bslz4", 4, bytes(7) + b"\x30" * 40]))}},
        "can't be decompressed",
    ),
    "two parts": ({"data": {"t": typed(COUNTS, 70, TAG(56500, ["lz4", b""]))}}, "made of 3 parts"),
    "no number": ({"image_id": None}, "image_id is no whole number"),
    "negative number": ({"image_id": -1}, "image_id is no whole number"),
    "no series": ({"series_id": "7"}, "series_id is no whole number"),
}


@pytest.mark.parametrize(("fields", "says"), WRONG.values(), ids=WRONG)
def test_a_damaged_image_is_a_lost_frame_with_the_reason(fields, says):
    lost = event(image(**fields))
    assert (lost.reason, lost.frames) == (Loss.UNREADABLE, 1)
    assert says in lost.note


def test_a_damaged_image_still_says_which_it_is():
    message = decode(image(data={}), 0.0)
    assert (message.series, message.number) == (Series(7), 3)


def test_a_damaged_start_loses_no_frame():
    lost = event(cbor2.dumps({**START, "pixel_size_x": 75e-6, "pixel_size_y": 50e-6}))
    assert lost == Lost(Loss.UNREADABLE, 0, "start message: its pixels are not square")


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", None])
def test_sizes_are_checked_before_memory_is_taken(algorithm):
    claimed = 8192 * 8192 * 8
    stored = claimed.to_bytes(8, "big") + bytes(100)
    bomb = stored if algorithm is None else TAG(56500, [algorithm, 8, stored])
    message = image(data={"t": TAG(40, [[8192, 8192], TAG(71, bomb)])})
    tracemalloc.start()
    assert "not of the size" in event(message).note
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@settings(deadline=None)
@given(
    st.integers(0, 10_000), st.binary(max_size=12), st.booleans(), st.sampled_from(["bslz4", "lz4"])
)
def test_no_damage_does_any_harm(where, instead, cut, algorithm):
    counts = np.random.default_rng(1).poisson(2.0, (65, 70)).astype(np.uint16)
    filters = {"bslz4": hdf5plugin.Bitshuffle, "lz4": hdf5plugin.LZ4}[algorithm]()
    stored = TAG(56500, [algorithm, 2, packed(counts, **filters)])
    good = image(data={"t": typed(counts, 69, stored)}, user_data={"position_m": [0.0, 1.0]})
    where %= len(good)
    bad = good[:where] + instead + (b"" if cut else good[where + len(instead) :])
    message = decode(bad, 0.0)
    assert message is None or isinstance(message.event, Begin | Frame | End | Lost)
