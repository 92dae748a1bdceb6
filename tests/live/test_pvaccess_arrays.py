"""NTNDArrays of pvaPy are read as those of p4p are, and filled so that others read them."""

import zlib

import numpy as np
import pytest

pytest.importorskip("pvaccess")
import pvaccess as pva

from wnet_edge.live import ndarray
from wnet_edge.live.pvaccess_arrays import ArrayFiller, PvaccessValue

FRAME = np.random.default_rng(3).poisson(9, (6, 8)).astype("u2")


def array(values, **fields):
    made = pva.NtNdArray()
    made["dimension"] = [pva.PvDimension(size, 0, size, 1, False) for size in (8, 6)]
    made["value"] = values
    made["uniqueId"] = 7
    for name, value in fields.items():
        made[name] = value
    return PvaccessValue(made)


def test_a_frame_is_read_with_its_number_time_and_attributes():
    attributes = [
        pva.NtAttribute("Row", pva.PvDouble(1.5)),
        pva.NtAttribute("Name", pva.PvString("theta")),
    ]
    stamp = {"secondsPastEpoch": 1_800_000_000, "nanoseconds": 5}
    value = array({"ushortValue": FRAME.ravel()}, attribute=attributes, timeStamp=stamp)
    assert ndarray.frame_number(value) == 7
    assert ndarray.stamp_ns(value) == 1_800_000_000_000_000_005
    assert ndarray.attributes(value, ("Row", "Name", "Gone")) == {"Row": 1.5, "Name": "theta"}
    counts = ndarray.counts(value)
    assert counts.dtype == FRAME.dtype
    assert np.array_equal(counts, FRAME)


def test_a_compressed_frame_is_read():
    packed = np.frombuffer(zlib.compress(FRAME.tobytes()), np.uint8)
    value = array(
        {"ubyteValue": packed},
        codec=pva.PvCodec("zlib", pva.PvInt(6)),  # uint16
        uncompressedSize=FRAME.nbytes,
        compressedSize=packed.nbytes,
    )
    assert np.array_equal(ndarray.counts(value), FRAME)


def test_an_array_is_filled_again_and_again():
    filler = ArrayFiller((6, 8))
    for number in (1, 2):
        image = np.full((6, 8), number, np.float32)
        stamp = {"secondsPastEpoch": 1_800_000_000, "nanoseconds": number}
        attributes = {"Row": number / 2, "Count": number, "Name": f"frame {number}"}
        value = PvaccessValue(filler.filled(image, number, stamp, attributes).copy())
        assert ndarray.frame_number(value) == number
        assert ndarray.stamp_ns(value) == 1_800_000_000_000_000_000 + number
        assert np.array_equal(ndarray.counts(value), image)
        assert ndarray.attributes(value, tuple(attributes)) == attributes


def test_what_a_pv_holds_before_its_first_frame_is_nothing():
    value = PvaccessValue(pva.NtNdArray())
    assert value["value"] is None
    assert value["dimension"] == []
    assert ndarray.stamp_ns(value) is None
