"""Numbers that are no plain counts: what was done to them is named; good counts are left alone."""

from pathlib import Path

import numpy as np
import pytest

from wnet_edge.errors import ScanError
from wnet_edge.framing.survey import survey
from wnet_edge.io.found import Found, FoundScan


def frames(photons=4e7):
    """Counts (24, 64, 64) of a smooth beam, up to 25,000 by default."""
    y, x = np.indices((64, 64))
    shape = np.exp(-((y - 30) ** 2 + (x - 35) ** 2) / 250)
    mean = photons * shape / shape.sum()
    sample = 1 + 0.1 * np.sin(np.arange(24))[:, None, None]
    return np.random.default_rng(0).poisson(mean * sample)


def notes(stored):
    return survey(FoundScan(Path("scan.h5"), "test", frames=Found(stored, "/frames"))).notes


def swapped(values):
    return values.byteswap()


@pytest.mark.parametrize("dtype", ["u2", "u4", "i4", "i8", "f4", "f8", ">u2", ">f4"])
@pytest.mark.parametrize("photons", [1e4, 1e6, 4e7])
def test_counts_of_every_type_are_left_alone(dtype, photons):
    assert notes(frames(photons).astype(dtype)) == ()


@pytest.mark.parametrize("dtype", ["u2", "u4", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("photons", [1e6, 4e7])
def test_swapped_bytes_are_told(dtype, photons):
    words = r"scan\.h5: /frames holds .*, as numbers do whose bytes are in the wrong order; write"
    with pytest.raises(ScanError, match=words):
        notes(swapped(frames(photons).astype(dtype)))


def test_swapped_bytes_of_bright_frames_are_told():
    """None of these is a multiple of 256 more often than by chance."""
    with pytest.raises(ScanError, match="with their bytes swapped"):
        notes(swapped((frames() + 400).astype("u2")))


@pytest.mark.parametrize("dtype", ["u4", "i4"])
def test_swapped_bytes_of_faint_frames_are_told(dtype):
    with pytest.raises(ScanError, match="only multiples of 65536"):
        notes(swapped(frames(1e5).astype(dtype)))


@pytest.mark.parametrize(("step", "dtype"), [(4, "u2"), (7, "f4"), (16, "u2"), (256, "u2")])
def test_left_aligned_bits_and_gains_are_told_and_not_taken_for_swapped_bytes(step, dtype):
    values = np.minimum(frames(4e5), 65_000 // step)
    note = notes((values * step).astype(dtype))[0]
    assert note.startswith(f"all values are multiples of {step}, as left-aligned bits")


def test_bits_left_aligned_in_four_bytes_are_not_swapped_bytes():
    values = np.minimum(frames(4e6), 4095).astype("u4") << 20
    assert notes(values)[0].startswith("all values are multiples of 1048576, as left-aligned bits")


@pytest.mark.parametrize("offset", [200, 600])
@pytest.mark.parametrize("noise", [0, 4])
def test_a_pedestal_is_told(offset, noise):
    values = frames(2e7) + np.random.default_rng(1).normal(offset, noise, (24, 64, 64))
    (note,) = notes(values.astype("f4") if noise else values.astype("u2"))
    assert "an offset or background lies under the counts; subtract it" in note


def test_what_a_dark_frame_leaves_is_no_pedestal():
    values = frames() + np.random.default_rng(1).normal(0, 5, (24, 64, 64))
    assert notes(values.astype("f4")) == ()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.sqrt, "square roots"),
        (lambda counts: np.log10(counts + 1), r"logarithms, log10\(1 \+ counts\)"),
        (np.log1p, r"logarithms, ln\(1 \+ counts\)"),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_roots_and_logarithms_are_refused(function, name, dtype):
    with pytest.raises(ScanError, match=rf"scan\.h5: /frames holds {name}.* of whole numbers"):
        notes(function(frames().astype(dtype)))


def test_squares_of_roots_are_counts_again():
    assert notes(np.square(np.sqrt(frames().astype("f4")))) == ()


def test_counts_that_became_negative_are_told():
    (note,) = notes((frames() * 3).astype("i2")[:, :, :64] // 3 * 3)[:1]
    assert "counts above 32767 do not fit int16 and became negative; write unsigned" in note


def test_counts_that_began_anew_are_told():
    assert any(
        "counts did not fit uint8 and started again at 0; write them wider" in note
        for note in notes(frames().astype("u1"))
    )
