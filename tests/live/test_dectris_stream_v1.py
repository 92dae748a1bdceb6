"""DECTRIS Stream V1: multipart messages of older detectors, made after Dectris' description."""

import json

import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dectris_stream import packed

from wnet_edge.live.dectris_stream_v1 import decode_v1
from wnet_edge.live.detector_message import Series
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

COUNTS = np.random.default_rng(3).poisson(2.0, (65, 70)).astype(np.uint16)

CONFIG = {
    "beam_center_x": 35.5,
    "beam_center_y": 32.0,
    "detector_distance": 2.0,
    "photon_energy": 8_000.0,
    "x_pixel_size": 75e-6,
    "y_pixel_size": 75e-6,
    "nimages": 4,
    "ntrigger": 100,
}


def part(**fields):
    return json.dumps(fields).encode()


def header(detail="basic", mask=None, config=CONFIG, series=4):
    parts = [part(htype="dheader-1.0", series=series, header_detail=detail), part(**config)]
    if detail == "none":
        return parts[:1]
    if detail == "all":
        height, width = mask.shape
        shape = [width, height]
        flat = np.ones(mask.shape, np.float32).tobytes()
        parts += [part(htype="dflatfield-1.0", shape=shape, type="float32"), flat]
        parts += [part(htype="dpixelmask-1.0", shape=shape, type="uint32"), mask.tobytes()]
        parts += [part(htype="dcountrate_table-1.0", shape=[2, 5], type="float32"), bytes(40)]
    return parts


def image(counts=COUNTS, encoding="<", stored=None, frame=0, series=4, **changes):
    height, width = counts.shape
    layout = {"shape": [width, height], "type": counts.dtype.name, "encoding": encoding}
    return [
        part(htype="dimage-1.0", series=series, frame=frame, hash=""),
        part(htype="dimage_d-1.0", **(layout | changes)),
        counts.tobytes() if stored is None else stored,
        part(htype="dconfig-1.0", start_time=0, stop_time=10, real_time=10),
    ]


def event(parts):
    return decode_v1(parts, 0.0).event


def test_a_header_gives_the_geometry():
    begin = event(header())
    assert (begin.name, begin.frame_count) == ("series_4", 400)
    assert (begin.energy_ev, begin.distance_m, begin.pixel_size_m) == (8_000.0, 2.0, 75e-6)
    assert begin.beam_centre_px == (32.0, 35.5)
    assert begin.mask is None


def test_a_header_in_all_detail_gives_the_mask_too():
    mask = np.zeros((65, 70), np.uint32)
    mask[3, 40] = 1
    np.testing.assert_array_equal(event(header("all", mask)).mask, mask != 0)


@pytest.mark.parametrize("detail", ["none", "basic"])
def test_positions_may_be_appended_to_the_header(detail):
    positions_m = [[0.0, 1e-6], [0.5e-6, 1e-6]]
    begin = event([*header(detail), part(positions_m=positions_m)])
    np.testing.assert_array_equal(begin.positions_m, positions_m)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("compressed", [None, "lz4", "bs-lz4"])
def test_images_are_what_hdf5s_filters_make_of_them(dtype, compressed):
    counts = COUNTS.astype(dtype)
    encoding, stored = "<", None
    if compressed == "lz4":
        encoding, stored = "lz4<", packed(counts, **hdf5plugin.LZ4())[16:]  # its one block, bare
    elif compressed == "bs-lz4":
        encoding = f"bs{8 * counts.itemsize}-lz4<"
        stored = packed(counts, **hdf5plugin.Bitshuffle())
    frame = event(image(counts, encoding, stored, frame=7))
    assert frame.number == 7
    np.testing.assert_array_equal(frame.counts, counts)


def test_bytes_of_the_other_order_are_turned():
    stored = COUNTS.astype(">u2").tobytes()
    frame = event(image(encoding=">", stored=stored))
    np.testing.assert_array_equal(frame.counts, COUNTS)
    assert frame.counts.dtype.isnative


def test_a_position_may_be_appended_to_an_image():
    assert event([*image(), part(position_m=[1e-6, 2e-6])]).position_m == (1e-6, 2e-6)
    assert event([*image(), b"a note"]).position_m is None


def test_the_end_ends_the_series():
    message = decode_v1([part(htype="dseries_end-1.0", series=4)], 0.0)
    assert isinstance(message.event, End)
    assert message.series == Series(4)


def test_a_message_of_another_type_is_passed_over():
    assert decode_v1([part(htype="monitor-1.0")], 0.0) is None


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (image()[:1], "its part 2 is missing"),
        (image()[:2], "its part 3 is missing"),
        (image(stored=b"12"), "not of the size"),
        (image(shape=[70]), "not two-dimensional"),
        (image(shape=[70, 9000]), "between 1 and 8192 px"),
        (image(type="float64"), "of an unknown type"),
        (image(encoding="bs16<"), "set it to bslz4 or lz4"),
        (image(encoding="lz4<", stored=bytes(100)), "can't be decompressed"),
        (image(frame=-1), "frame is no whole number"),
        ([b"{"], "its part 1 is no JSON"),
    ],
)
def test_a_damaged_image_is_a_lost_frame_with_the_reason(parts, says):
    lost = event(parts)
    assert (lost.reason, lost.frames) == (Loss.UNREADABLE, 1)
    assert says in lost.note


def test_a_damaged_header_loses_no_frame():
    lost = event(header(config={**CONFIG, "nimages": "many"}))
    assert lost.frames == 0
    assert lost.note == "header of Stream V1: nimages or ntrigger is no whole number"


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 10_000), st.binary(max_size=6), st.integers(1, 5))
def test_no_damage_does_any_harm(which, where, instead, kept):
    parts = image(encoding="bs16-lz4<", stored=packed(COUNTS, **hdf5plugin.Bitshuffle()))
    where %= len(parts[which])
    parts[which] = parts[which][:where] + instead + parts[which][where + len(instead) :]
    message = decode_v1(parts[:kept], 0.0)
    assert message is None or isinstance(message.event, Begin | Frame | End | Lost)
