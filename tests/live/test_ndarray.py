"""NTNDArrays of any type and codec become frames; what is damaged is refused in a line."""

import struct
import sys
import zlib

import h5py
import hdf5plugin
import numpy as np
import pytest

from wnet_edge.errors import ScanError
from wnet_edge.live.ndarray import attributes, counts, frame_number, ndarray_fields, stamp_ns

p4p = pytest.importorskip("p4p")
from p4p.nt import NTNDArray, NTScalar  # noqa: E402

FRAME = np.random.default_rng(3).poisson(40, (24, 17))
PV_TYPES = {"int8": 1, "int16": 2, "int32": 3, "int64": 4, "uint8": 5, "uint16": 6, "uint32": 7}
PV_TYPES |= {"uint64": 8, "float32": 9, "float64": 10}
ND_TYPES = {"int8": 0, "uint8": 1, "int16": 2, "uint16": 3, "int32": 4, "uint32": 5}
ND_TYPES |= {"int64": 6, "uint64": 7, "float32": 8, "float64": 9}


def ndarray(frame, number=1, stamp_s=1.8e9, **named):
    return p4p.Value(NTNDArray.buildType(), ndarray_fields(frame, number, stamp_s, named))


def compressed(frame, data, codec, parameters=None, **other):
    value = ndarray(frame)
    if parameters is None:
        parameters = PV_TYPES[frame.dtype.name]
    value["value"] = ("ubyteValue", np.frombuffer(data, "u1"))
    value["codec"] = {"name": codec, "parameters": parameters}
    value["compressedSize"] = len(data)
    for name, one in other.items():
        value[name] = one
    return value


def filtered(frame, compression, tmp_path):
    """The bytes that an HDF5 filter makes: with its header."""
    with h5py.File(tmp_path / "chunk.h5", "w") as file:
        file.create_dataset("a", data=frame, chunks=frame.shape, **compression)
        return file["a"].id.read_direct_chunk((0, 0))[1]


@pytest.mark.parametrize("dtype", PV_TYPES)
def test_any_type_comes_through_bit_for_bit(dtype):
    frame = FRAME.astype(dtype)
    read = counts(ndarray(frame))
    assert read.dtype == frame.dtype
    np.testing.assert_array_equal(read, frame)


def test_x_comes_first_as_in_areadetector():
    value = ndarray(FRAME)
    assert [one["size"] for one in value["dimension"]] == [17, 24]
    assert counts(value).shape == (24, 17)


def test_a_third_dimension_of_one_is_none():
    value = ndarray(FRAME)
    value["dimension"] = [{"size": 17}, {"size": 24}, {"size": 1}]
    np.testing.assert_array_equal(counts(value), FRAME)


def test_numbers_stamps_and_attributes_are_read():
    value = ndarray(FRAME, number=7, stamp_s=1.8e9 + 0.25, Row=1.5e-9, Name="x")
    assert frame_number(value) == 7
    assert stamp_ns(value) == 1_800_000_000_250_000_000
    assert attributes(value, ["Row", "Name", "Other"]) == {"Row": 1.5e-9, "Name": "x"}


def test_a_stamp_that_was_never_set_is_none():
    value = ndarray(FRAME)
    value["timeStamp.secondsPastEpoch"] = 631152000  # EPICS' zero
    assert stamp_ns(value) == 1_800_000_000_000_000_000  # dataTimeStamp
    value["dataTimeStamp.secondsPastEpoch"] = 0
    assert stamp_ns(value) is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32", "float32", "float64"])
@pytest.mark.parametrize("header", [True, False], ids=["header", "bare"])
@pytest.mark.parametrize("codec", ["bslz4", "lz4", "zlib", "lz4hdf5", "blosc"])
def test_codecs(codec, header, dtype, tmp_path):
    frame = np.tile(FRAME.astype(dtype), (12, 10))
    if codec == "zlib":
        data = zlib.compress(frame.tobytes())
    elif codec == "blosc":
        data = pytest.importorskip("blosc").compress(frame.tobytes(), frame.itemsize)
    elif codec == "bslz4":
        data = filtered(frame, hdf5plugin.Bitshuffle(cname="lz4"), tmp_path)
        data = data if header else data[12:]
    else:
        data = filtered(frame, hdf5plugin.LZ4(), tmp_path)
        data = data if header or codec == "lz4hdf5" else data[16:]
    read = counts(compressed(frame, data, codec))
    assert read.dtype == frame.dtype
    np.testing.assert_array_equal(read, frame)


@pytest.mark.parametrize("codec", ["bslz4", "lz4", "zlib"])
def test_a_frame_without_a_photon_is_no_damage(codec, tmp_path):
    frame = np.zeros((512, 1024), "u4")
    filters = {"bslz4": hdf5plugin.Bitshuffle(cname="lz4"), "lz4": hdf5plugin.LZ4()}
    data = zlib.compress(frame, 9)
    if codec in filters:
        data = filtered(frame, filters[codec], tmp_path)
    assert not counts(compressed(frame, data, codec)).any()


@pytest.mark.parametrize("dtype", ND_TYPES)
def test_the_types_as_adcores_first_pvxs_plugin_wrote_them(dtype):
    """It wrote NDDataType_t where pvData's ScalarType belongs."""
    frame = FRAME.astype(dtype)
    data = zlib.compress(frame.tobytes())
    read = counts(compressed(frame, data, "zlib", parameters=ND_TYPES[dtype]))
    np.testing.assert_array_equal(read, frame)
    if dtype != "uint8":  # the same values, as both are below 128
        assert read.dtype == frame.dtype


def test_int8_or_uint8_is_refused_where_it_matters():
    frame = np.full((4, 4), 200, "u1")
    data = zlib.compress(frame.tobytes())
    with pytest.raises(ScanError, match="update ADCore or send without compression"):
        counts(compressed(frame, data, "zlib", parameters=1))


def test_jpeg_is_refused():
    said = "codec 'jpeg' is not one of lz4, lz4hdf5, bslz4, blosc, zlib, or none"
    with pytest.raises(ScanError, match=said):
        counts(compressed(FRAME, b"x" * 100, "jpeg"))


def test_blosc_names_the_package_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "blosc", None)
    with pytest.raises(ScanError, match="codec blosc needs the package blosc: pip install blosc"):
        counts(compressed(FRAME, b"x" * 100, "blosc"))


def test_damaged_data_is_refused(tmp_path):
    frame = np.tile(FRAME.astype("u2"), (12, 10))
    chunk = filtered(frame, hdf5plugin.Bitshuffle(cname="lz4"), tmp_path)
    for codec, data in [
        ("bslz4", chunk[:-40]),
        ("bslz4", chunk[:12] + b"\xff" * (len(chunk) - 12)),
        ("bslz4", chunk[12:-40]),
        ("lz4", b"\xf0" * 4000),
        ("zlib", zlib.compress(frame.tobytes())[:-40]),
        ("zlib", zlib.compress(frame.tobytes())[:-2]),
        ("zlib", zlib.compress(frame.tobytes())[:-2] + b"xx"),
        ("zlib", zlib.compress(frame.tobytes())[1:]),
        ("zlib", zlib.compress(frame.tobytes() + b"more")),
        ("zlib", zlib.compress(frame.tobytes()[:-2])),
    ]:
        with pytest.raises(ScanError, match=f"damaged {codec} data"):
            counts(compressed(frame, data, codec))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"uncompressedSize": 2**40}, "can't hold the 1099511627776"),
        ({"uncompressedSize": 0}, "can't hold the 0"),
        ({"uncompressedSize": 24 * 17 * 2 + 1}, "don't fill 408 pixels"),
        ({"uncompressedSize": 24 * 17 * 3}, "is no type of 3 bytes"),
        ({"dimension": [{"size": 2**30}, {"size": 2**30}]}, "don't fill"),
        ({"codec.parameters": "uint16"}, "is no type of 2 bytes"),
        ({"codec.parameters": None}, "is no type of 2 bytes"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(other, said):
    frame = FRAME.astype("u2")
    data = zlib.compress(frame.tobytes())
    with pytest.raises(ScanError, match=said):
        counts(compressed(frame, data, "zlib", **other))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([17, 23], "408 pixels don't fill 23 × 17"),
        ([17], "dimensions are 17; a frame has two"),
        ([], "dimensions are absent"),
        ([3, 17, 24], "dimensions are 3 × 17 × 24"),
        ([0, 24], "dimensions are 0 × 24"),
        ([-17, -24], "dimensions are -17 × -24"),
    ],
)
def test_wrong_dimensions_are_refused(sizes, said):
    value = ndarray(FRAME)
    value["dimension"] = [{"size": size} for size in sizes]
    with pytest.raises(ScanError, match=said):
        counts(value)


def test_truth_values_and_no_data_are_refused():
    value = ndarray(FRAME)
    value["value"] = ("booleanValue", np.ones(FRAME.size, bool))
    with pytest.raises(ScanError, match="of type bool"):
        counts(value)
    value["value"] = None
    with pytest.raises(ScanError, match="no data"):
        counts(value)


def test_another_structure_is_no_frame():
    with pytest.raises(ScanError, match=r"the PV holds epics:nt/NTScalar:1\.0, not an NTNDArray"):
        frame_number(NTScalar("d").wrap(1.0))


def test_random_bytes_never_crash():
    """Whatever comes compressed is read or refused."""
    random = np.random.default_rng(0)
    for codec in ("lz4", "lz4hdf5", "bslz4", "zlib"):
        for _ in range(200):
            data = random.bytes(int(random.integers(1, 900)))
            if random.random() < 0.5:
                data = struct.pack(">QI", FRAME.size * 2, int(random.integers(0, 9000))) + data
            try:
                counts(compressed(FRAME.astype("u2"), data, codec))
            except ScanError:
                continue
