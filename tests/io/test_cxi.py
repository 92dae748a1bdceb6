"""CXI files: what is read, what is refused and why, what is written."""

import h5py
import hdf5plugin
import numpy as np
import pytest
from tiny import GEOMETRY, gaussian_probe

from wnet_edge.errors import ScanError
from wnet_edge.io.readers.cxi import read_labels
from wnet_edge.io.scan_file import find_scan, open_scan
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.labelled_frames import LabelledFrames, PatchLabels

DETECTOR = "/entry_1/instrument_1/detector_1"
SOURCE = "/entry_1/instrument_1/source_1"
TRANSLATION = "/entry_1/sample_1/geometry_1/translation"


@pytest.fixture
def path(tmp_path, known):
    return known.write(tmp_path / "scan.cxi")


def header(count=3, frame_px=8, **changes):
    values = {
        "geometry": GEOMETRY,
        "positions_m": np.arange(2.0 * count).reshape(count, 2) * 1e-8,
        "frame_px": frame_px,
    }
    return CxiHeader(**(values | changes))


def test_real_far_field_scan(data_dir):
    scan = open_scan(data_dir / "cnm26id_scan247.cxi")
    assert (scan.frame_count, scan.frame_px, scan.full_window_px) == (481, 128, 128)
    assert scan.object_pixel_size_m == pytest.approx(15.85e-9, rel=1e-4)
    assert scan.geometry.energy_ev == pytest.approx(10_000)
    assert scan.mask.sum() == 9
    assert scan.probe.shape == (3, 128, 128)
    assert scan.probe.dtype == np.complex64
    assert scan.probe_pixel_size_m == pytest.approx(15.85e-9)
    # The reference gives the same top-left corners, but for one shift of all of them.
    reference = np.load(data_dir / "cnm26id_scan247_reference.npz")["window_top_left_px"]
    shift = scan.positions_m / scan.object_pixel_size_m - reference
    assert np.ptp(shift, axis=0).max() <= 1.01
    batches = list(scan.batches(200))
    assert [len(batch) for batch in batches] == [200, 200, 81]
    assert batches[0].dtype == np.float32


def test_near_field_scan_reads(data_dir):
    scan = open_scan(data_dir / "petra_p25_nearfield.cxi")
    assert (scan.frame_count, scan.frame_px) == (200, 100)
    assert scan.geometry.energy_ev == pytest.approx(12_658, abs=1)
    assert scan.probe is None
    assert next(scan.batches(7)).shape == (7, 100, 100)


def test_what_is_written_is_read(path, known):
    scan = open_scan(path)
    assert scan.path == path
    np.testing.assert_array_equal(np.concatenate(list(scan.batches(7))), known.frames)
    pixel_m = scan.object_pixel_size_m
    np.testing.assert_allclose(scan.positions_m / pixel_m, known.corners, atol=1e-9)
    np.testing.assert_array_equal(scan.probe, known.probe)
    assert scan.geometry.energy_ev == pytest.approx(GEOMETRY.energy_ev)
    assert scan.geometry.distance_m == GEOMETRY.distance_m
    assert scan.probe_pixel_size_m == pytest.approx(pixel_m)
    assert read_labels(path) is None
    # Nothing holds the file.
    path.unlink()
    with pytest.raises(ScanError, match="no such file"):
        scan.frames[0]


def test_binned_scan_has_the_same_object_pixel(tmp_path, path, known):
    binned = open_scan(known.write(tmp_path / "binned.cxi", binned=True))
    full = open_scan(path)
    assert (binned.frame_px, binned.binning, binned.full_window_px) == (16, 2, 32)
    assert binned.object_pixel_size_m == pytest.approx(full.object_pixel_size_m)
    assert binned.geometry.detector_pixel_size_m == pytest.approx(55e-6)
    np.testing.assert_array_equal(binned.positions_m, full.positions_m)
    with h5py.File(tmp_path / "binned.cxi") as file:
        # A reader that knows nothing of binning computes the right object pixel, too.
        size_m = file[f"{DETECTOR}/x_pixel_size"][()]
        naive_m = full.geometry.wavelength_m * full.geometry.distance_m / (16 * size_m)
        assert naive_m == pytest.approx(full.object_pixel_size_m)


def test_labels(tmp_path):
    rng = np.random.default_rng(0)
    amplitude = rng.random((3, 4, 4)).astype(np.float32)
    phase = rng.random((3, 4, 4)).astype(np.float32)
    frames = rng.poisson(5, (3, 8, 8))
    batches = (
        LabelledFrames(frames[n : n + 1], PatchLabels(amplitude[n : n + 1], phase[n : n + 1]))
        for n in range(3)
    )
    write_cxi(tmp_path / "s.cxi", header(label_px=4, label_binning=2), batches)
    labels = read_labels(tmp_path / "s.cxi")
    assert (labels.window_px, labels.binning) == (4, 2)
    assert labels.amplitude[:].dtype == np.float16
    np.testing.assert_allclose(labels.amplitude[:], amplitude, atol=1e-3)
    np.testing.assert_allclose(labels.phase[1:], phase[1:], atol=1e-3)
    with h5py.File(tmp_path / "s.cxi", "a") as file:
        del file["entry_1/labels"].attrs["binning"]
    with pytest.raises(ScanError, match="lacks its attributes"):
        read_labels(tmp_path / "s.cxi")
    replace(tmp_path / "s.cxi", "/entry_1/labels/phase", np.zeros((3, 4, 5)))
    with pytest.raises(ScanError, match=r"labels/phase is not \(3, h, h\)"):
        read_labels(tmp_path / "s.cxi")


def test_mask_and_float_frames(tmp_path):
    mask = np.zeros((8, 8), bool)
    mask[2, 3] = True
    frames = np.full((3, 8, 8), 0.5, np.float32)
    write_cxi(
        tmp_path / "s.cxi", header(mask=mask, frame_dtype=np.float32), [LabelledFrames(frames)]
    )
    scan = open_scan(tmp_path / "s.cxi")
    np.testing.assert_array_equal(scan.mask, mask)
    np.testing.assert_array_equal(scan.frames[:], frames)


def test_informative_mask_bits_do_not_mask(path):
    replace(path, f"{DETECTOR}/mask", np.full((32, 32), 0x10000, np.uint32))
    assert not open_scan(path).mask.any()


def test_absent_mask_and_energy(path):
    edit(path, lambda file: (file[DETECTOR].pop("mask"), file[SOURCE].pop("energy")))
    scan = open_scan(path)
    assert not scan.mask.any()
    assert scan.geometry.energy_ev == pytest.approx(10_000)


def test_detector_compression_is_read(path, known):
    def recompress(file):
        del file[f"{DETECTOR}/data"]
        file[DETECTOR].create_dataset(
            "data", data=known.frames, chunks=(1, 32, 32), **hdf5plugin.Bitshuffle()
        )

    edit(path, recompress)
    np.testing.assert_array_equal(open_scan(path).frames[3:5], known.frames[3:5])


def edit(path, change):
    with h5py.File(path, "a") as file:
        change(file)


def replace(path, name, value):
    """Another value for a dataset; None takes it away."""

    def change(file):
        del file[name]
        if value is not None:
            file[name] = value

    edit(path, change)


def refuses(path, *words):
    with pytest.raises(ScanError) as caught:
        list(open_scan(path).batches(8))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ";" in message
    for word in words:
        assert word in message


NAN = np.full((36, 3), np.nan)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (f"{DETECTOR}/data", None, ["data_1/data links to", "which is not there"]),
        (f"{DETECTOR}/data", np.zeros((32, 32)), ["data_1/data", "not (N, H, W)"]),
        (f"{DETECTOR}/data", np.zeros((36, 32, 31)), ["not (N, n, n)", "square"]),
        (f"{DETECTOR}/data", np.zeros((0, 32, 32)), ["holds 0 frames"]),
        (f"{DETECTOR}/data", np.zeros((36, 1, 1)), ["frames of 1 × 1 px"]),
        (f"{DETECTOR}/data", np.zeros((36, 32, 32), complex), ["complex128, not counts"]),
        (f"{DETECTOR}/data", h5py.Empty("f4"), ["without frames", "--frames"]),
        (
            f"{DETECTOR}/data",
            h5py.ExternalLink("none.h5", "/data"),
            ["links to none.h5:"],
        ),
        (f"{DETECTOR}/data", h5py.SoftLink(f"{DETECTOR}/data"), ["correct the link"]),
        (f"{DETECTOR}/mask", np.zeros((16, 16), int), ["mask", "one mask for all frames"]),
        (f"{DETECTOR}/mask", np.ones((32, 32), int), ["every pixel"]),
        (f"{DETECTOR}/distance", -0.9, ["distance is -0.9 m", "--distance-m"]),
        (f"{DETECTOR}/distance", np.nan, ["distance is nan"]),
        (f"{DETECTOR}/distance", "far", ["not one number"]),
        (f"{DETECTOR}/distance", [1.0, 2.0], ["not one number"]),
        (f"{DETECTOR}/x_pixel_size", 75e-6, ["square pixels"]),
        (f"{DETECTOR}/x_pixel_size", 55.0, ["square pixels"]),
        (f"{DETECTOR}/binning", 0, ["binning is 0"]),
        (f"{DETECTOR}/binning", 2, ["illumination", "(modes, 64, 64)"]),
        (f"{SOURCE}/energy", -1.6e-15, ["energy is -9986"]),
        (f"{SOURCE}/illumination", np.ones((9, 9), complex), ["illumination", "(modes, 32, 32)"]),
        (f"{SOURCE}/illumination", np.ones((32, 32)), ["not complex"]),
        (f"{SOURCE}/illumination", np.zeros((32, 32), complex), ["dark"]),
        (TRANSLATION, None, ["translation links to"]),
        (TRANSLATION, np.zeros((35, 3)), ["35 positions for 36 frames"]),
        (TRANSLATION, np.zeros(36), ["not numbers (N, 3)"]),
        (TRANSLATION, NAN, ["not a number at 36 of 36 frames", "frame 0"]),
        (TRANSLATION, np.arange(108.0).reshape(36, 3), ["no scan does", "metres"]),
    ],
)
def test_faults_are_named(path, name, value, words):
    replace(path, name, value)
    refuses(path, *words)


@pytest.mark.parametrize(
    ("name", "units"),
    [(f"{SOURCE}/energy", "furlong"), (TRANSLATION, "eV"), (TRANSLATION, b"\xb5m")],
)
def test_unknown_units_are_refused(path, name, units):
    edit(path, lambda file: file[name].attrs.update(units=units))
    refuses(path, name, "not a known unit")


@pytest.mark.parametrize(
    ("name", "units", "factor"),
    [(f"{SOURCE}/energy", "keV", 10.0), (f"{DETECTOR}/distance", "mm", 900.0)],
)
def test_units_beside_a_number_are_heeded(path, name, units, factor):
    before = open_scan(path)
    replace(path, name, factor)
    edit(path, lambda file: file[name].attrs.update(units=units))
    after = open_scan(path)
    assert after.object_pixel_size_m == pytest.approx(before.object_pixel_size_m, rel=1e-3)


def test_geometry_may_be_absent_until_it_is_needed(path):
    edit(path, lambda file: file[DETECTOR].pop("distance"))
    scan = open_scan(path)
    assert scan.geometry is None
    with pytest.raises(ScanError, match=r"scan\.cxi: has no energy, distance .* --distance-m"):
        _ = scan.object_pixel_size_m


def test_a_few_frames_without_a_position_are_left_out(path):
    def spoil(file):
        file[TRANSLATION][[2, 30], 0] = np.nan

    edit(path, spoil)
    scan = open_scan(path)
    assert np.flatnonzero(scan.left_out).tolist() == [2, 30]
    assert np.isfinite(scan.positions_m).all()


def test_files_that_are_no_scans(tmp_path, path):
    refuses(tmp_path, "is a folder")
    refuses(tmp_path / "none.cxi", "no such file")
    (tmp_path / "empty.cxi").touch()
    refuses(tmp_path / "empty.cxi", "is empty")
    (tmp_path / "text.cxi").write_text("frames\n" * 1000)
    refuses(tmp_path / "text.cxi", "is not a scan file")
    (tmp_path / "half.cxi").write_bytes(path.read_bytes()[:-1000])
    refuses(tmp_path / "half.cxi", "is cut short")


def test_damaged_frames_are_named(path):
    with h5py.File(path) as file:
        chunk = file[f"{DETECTOR}/data"].id.get_chunk_info(20)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)
    refuses(path, "/entry_1/data_1/data is damaged", "copy it again")


def test_frames_that_change_are_noticed(path):
    frames = find_scan(path).frames.value
    assert frames[0].shape == (32, 32)
    replace(path, f"{DETECTOR}/data", np.zeros((37, 32, 32)))
    with pytest.raises(ScanError, match="has changed"):
        frames[0]


def test_writing_is_whole_or_not_at_all(tmp_path):
    target = tmp_path / "s.cxi"

    def broken():
        yield LabelledFrames(np.zeros((1, 8, 8)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cxi(target, header(), broken())
    assert list(tmp_path.iterdir()) == []
    write_cxi(target, header(), [LabelledFrames(np.zeros((3, 8, 8)))])
    with pytest.raises(ScanError, match="exists already; replace it with --force"):
        write_cxi(target, header(), [])
    write_cxi(target, header(), [LabelledFrames(np.ones((3, 8, 8)))], force=True)
    assert open_scan(target).frames[0].sum() == 64
    with pytest.raises(ScanError, match="no folder"):
        write_cxi(tmp_path / "none" / "s.cxi", header(), [])


@pytest.mark.parametrize("value", [0.5, -1, 70_000, np.nan])
def test_counts_that_would_change_are_refused(tmp_path, value):
    batch = LabelledFrames(np.full((3, 8, 8), value))
    with pytest.raises(ScanError, match="fit uint16"):
        write_cxi(tmp_path / "s.cxi", header(frame_dtype=np.uint16), [batch])
    assert list(tmp_path.iterdir()) == []


def test_batches_that_do_not_add_up(tmp_path):
    frames = np.zeros((3, 8, 8))
    label = np.zeros((3, 4, 4))
    for head, batches, match in [
        (header(), [LabelledFrames(frames[:2])], "2 frames for 3 positions"),
        (header(), [LabelledFrames(frames), LabelledFrames(frames)], "does not fit"),
        (header(), [LabelledFrames(frames[:, :7])], "does not fit"),
        (header(), [LabelledFrames(frames, PatchLabels(label, label))], "not in both"),
        (header(label_px=4), [LabelledFrames(frames)], "not in both"),
    ]:
        with pytest.raises(ValueError, match=match):
            write_cxi(tmp_path / "s.cxi", head, batches)
        assert list(tmp_path.iterdir()) == []


def test_single_mode_probe(path):
    replace(path, f"{SOURCE}/illumination", gaussian_probe(32)[0])
    scan = open_scan(path)
    assert scan.probe.shape == (1, 32, 32)
    assert scan.probe_pixel_size_m is None
