"""The first look at a scan: which pixels are masked, and which masks are the wrong way round."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wnet_edge.embedded import EXAMPLE_SCAN, find_package
from wnet_edge.errors import ScanError
from wnet_edge.framing.survey import survey
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import open_package
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.objects import Family
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan
from wnet_edge.scan.counts import NOT_A_COUNT


def smooth(count=24, shape=(24, 40), least=0):
    """Counts as a smooth beam gives them."""
    y, x = np.indices(shape)
    mean = least + 4000 * np.exp(-((y - 13) ** 2 + (x - 17) ** 2) / 90)
    return np.random.default_rng(0).poisson(mean, (count, *shape)).astype(np.uint32)


def found(frames, **parts):
    return FoundScan(Path("scan.h5"), "test", frames=Found(frames, "/frames"), **parts)


def marked(shape, *places):
    pixels = np.zeros(shape, bool)
    for place in places:
        pixels[place] = True
    return pixels


def test_odd_pixels_are_found_and_no_others():
    frames = smooth()
    rng = np.random.default_rng(1)
    frames[:, 13, 20] = 0
    frames[:, 20, 30] = rng.poisson(50_000, len(frames))
    frames[:, 5, 9] = 777
    frames[:, 0, 0] = 2**32 - 1
    frames[:, 7, :] = 2**32 - 2
    told = marked(frames.shape[1:], (13, 17))
    seen = survey(found(frames, mask=Found(told, "/mask")))
    expected = marked(told.shape, (13, 17), (13, 20), (20, 30), (5, 9), (0, 0), 7)
    np.testing.assert_array_equal(seen.mask, expected)
    assert seen.mean[seen.mask].sum() == 0
    assert seen.notes == (
        "masked: 41 detector pixels without counts in any frame (row 7; 0, 0)",
        "masked: 1 detector pixel with the same value in every frame, 777 (5, 9)",
        "masked: 1 detector pixel dead (13, 20)",
        "masked: 1 detector pixel hot (20, 30)",
    )


GAP = marked((24, 40), (slice(10, 13), slice(None)), (slice(None), slice(25, 27)))


@pytest.mark.parametrize(
    ("dtype", "mark"),
    [
        *((dtype, 2**16 - 1) for dtype in ("u2", "u4", "i4", "i8", "f4", "f8")),
        ("f4", 2**16 - 2),
        ("u2", 4095),
        ("u2", 16383),
        ("u4", 2**20 - 1),
        ("f4", 2**24 - 1),
        ("u4", 2**31 - 1),
        ("i8", 2**31 - 1),
        ("f4", 2**32 - 1),
        ("u8", 2**32 - 1),
        ("i8", 2**63 - 1),
        ("i4", -1),
        ("i4", -(2**31)),
        ("f4", -9999),
        ("f4", np.nan),
        ("f4", np.inf),
        ("f4", 1e30),
        ("f4", 12.5),
        ("u2", 123),
        ("u2", 0),
    ],
)
def test_a_gap_is_masked_whatever_it_is_filled_with(dtype, mark):
    frames = smooth(least=3).astype(dtype)
    plain = survey(found(frames))
    frames[:, GAP] = mark
    seen = survey(found(frames))
    np.testing.assert_array_equal(seen.mask, GAP)
    np.testing.assert_array_equal(seen.mean[~GAP], plain.mean[~GAP])
    (note,) = (note for note in seen.notes if note.startswith("masked"))
    assert note.startswith(f"masked: {GAP.sum()} detector pixels")
    assert note.endswith("(rows 10 to 12; columns 25 to 26)")


def test_a_gap_that_is_half_the_detector_is_masked():
    frames = smooth()
    frames[:, :, 18:] = 65535
    assert survey(found(frames)).mask[:, 18:].all()
    assert not survey(found(frames)).mask[:, :18].any()


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("line", [(slice(None), 30), (4, slice(None))])
def test_a_stuck_or_hot_line_is_masked(noisy, line):
    frames = smooth()
    shape = frames[:, line[0], line[1]].shape
    frames[:, line[0], line[1]] = (
        np.random.default_rng(1).poisson(60_000, shape) if noisy else 60_000
    )
    np.testing.assert_array_equal(survey(found(frames)).mask, marked(frames.shape[1:], line))


def test_every_other_line_dead_is_masked():
    frames = smooth(least=3)
    frames[:, ::2] = 0
    mask = survey(found(frames)).mask
    assert mask[2:-1:2].all()
    assert not mask[1::2].any()


@pytest.mark.parametrize(
    "shadow",
    [
        marked((64, 64), (slice(32, None), slice(32, None))),
        np.hypot(*(np.indices((64, 64)) - 30)) < 9,
    ],
)
def test_a_dead_part_and_a_beamstop_ask_for_a_mask(shadow):
    y, x = np.indices((64, 64))
    mean = 4000 * np.exp(-((y - 30) ** 2 + (x - 33) ** 2) / 400)
    frames = np.random.default_rng(0).poisson(mean, (24, 64, 64))
    assert survey(found(frames)).notes == ()
    (note,) = survey(found(np.where(shadow, 0, frames))).notes
    assert "pixels without a count in any frame lie right next to bright ones" in note
    assert note.endswith("name a mask of the beamstop or the dead part with --mask")


def test_marks_in_some_frames_only_are_no_counts():
    frames = smooth()
    rng = np.random.default_rng(2)
    for frame in frames:
        frame[rng.integers(24), rng.integers(40)] = 2**20 - 1
    seen = survey(found(frames))
    assert not seen.mask.any()
    assert seen.no_count_from == 2**20 - 1
    np.testing.assert_allclose(seen.mean, survey(found(smooth())).mean, atol=20)
    assert seen.notes == (
        "values of 1048575 and above stand apart from all counts: they are taken for a detector's "
        "mark and are left out",
    )


@pytest.mark.parametrize("clip", [1023, 3000])
def test_a_saturated_detector_is_told_and_its_pixels_are_kept(clip):
    seen = survey(found(np.minimum(smooth(), clip)))
    assert not seen.mask.any()
    assert seen.no_count_from == NOT_A_COUNT
    (note,) = seen.notes
    assert f"% of the values are {clip}, which none exceeds: the detector is saturated" in note


def test_frames_without_diffraction_say_nothing_of_the_detector():
    frames = smooth()
    frames[::5] = 60_000
    frames[15:] = 0
    frames[:, 3, 3] = 7
    seen = survey(found(frames))
    np.testing.assert_array_equal(seen.mask, marked(seen.mask.shape, (3, 3)))
    assert seen.mean.max() < 5000


def test_the_real_scans_have_no_odd_pixels_but_those_they_name(data_dir):
    for path in (data_dir / "cnm26id_scan247.cxi", EXAMPLE_SCAN):
        scan = find_scan(path)
        seen = survey(scan)
        np.testing.assert_array_equal(seen.mask, scan.mask.value)
        assert seen.notes == ()
        assert seen.no_count_from == NOT_A_COUNT


def probes():
    yield "26-ID", open_package(find_package("w3")).probe
    for name, optics in {
        "in focus": ZonePlate(60e-9, 0.3, 0.0),
        "defocused": ZonePlate(40e-9, 0.5, 60e-6, source_size_m=20e-9, modes=2),
        "open": ZonePlate(60e-9, 0.0, 20e-6),
    }.items():
        optical = {"wavelength_m": 1.24e-10, "window_px": 128, "pixel_size_m": 15.85e-9}
        yield name, zone_plate_probe(optics, **optical)


@pytest.mark.parametrize("photons", [3e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize(("name", "probe"), [pytest.param(*case, id=case[0]) for case in probes()])
def test_a_good_detector_has_no_odd_pixels(name, probe, photons):
    detector = Detector((photons, photons), background=1e-4)
    for family in Family:
        options = ScanOptions(frames=24, family=family, detector=detector, seed=len(name))
        frames = next(VirtualScan(probe, options).batches(24)).frames
        for stored in (frames, frames.astype(np.float32), frames * np.float32(0.01)):
            seen = survey(found(stored))
            assert not seen.mask.any(), (family, seen.notes)
            assert seen.notes == ()


@pytest.mark.parametrize("rounded", [False, True])
def test_frames_without_noise_have_no_odd_pixels(rounded):
    probe = open_package(find_package("w3")).probe
    detector = Detector((1e12, 1e12))
    options = ScanOptions(frames=24, family=Family.SMOOTH, detector=detector, seed=1)
    counts = next(VirtualScan(probe, options).batches(24)).frames * 1e-6
    mask = survey(found(np.rint(counts).astype(np.uint16) if rounded else counts)).mask
    assert mask.sum() <= (5 if rounded else 0)  # a dark one may round to 1 in all frames


def test_an_inverted_mask_is_told_and_not_used():
    frames = smooth()
    bad = marked(frames.shape[1:], (3, 4), (20, 30))
    gaps = GAP | bad
    for mask in (bad, gaps):
        scan = found(np.where(mask, np.uint32(2**32 - 1), frames), mask=Found(mask, "/mask"))
        np.testing.assert_array_equal(survey(scan).mask, mask)
        for values in (frames, scan.frames.value):
            inverted = replace(found(values), mask=Found(~mask, "/mask"))
            words = (
                rf"scan\.h5: /mask marks {100 * (~mask).mean():.1f} % of the pixels as bad, with "
                r".* % of the counts: is it inverted\? Say with --mask-good which value marks a "
                r"good pixel \(0 or 1\), or give --mask none"
            )
            with pytest.raises(ScanError, match=words):
                survey(inverted)


def test_a_mask_of_everything_is_told():
    scan = found(smooth(), mask=Found(np.ones((24, 40), bool), "/mask"))
    with pytest.raises(ScanError, match="/mask marks every pixel as bad; say with --mask-good"):
        survey(scan)


def test_a_region_of_interest_in_place_of_a_mask_is_told():
    roi = marked((24, 40), (slice(8, 19), slice(12, 23)))
    seen = survey(found(smooth(), mask=Found(roi, "/roi")))
    (note,) = seen.notes
    assert note.startswith("/roi marks 12.6 % of the pixels as bad, with 3")
    assert "if it marks the good ones, say with --mask-good" in note


@pytest.mark.parametrize(
    "mask",
    [
        marked((24, 40), (slice(11, 15), slice(15, 19))),  # a beamstop
        ~marked((24, 40), (slice(3, 23), slice(7, 27))),  # all but the beam
        marked((24, 40), (0, 0), (5, 5), (9, 30)),  # hot ones
    ],
)
def test_other_masks_are_right(mask):
    frames = smooth()
    frames[:, 0, 0], frames[:, 5, 5], frames[:, 9, 30] = 10**6, 10**6, 10**6
    frames[:, 11:15, 15:19] = 0
    hot = marked(mask.shape, (0, 0), (5, 5), (9, 30))
    seen = survey(found(frames, mask=Found(mask | hot, "/mask")))
    assert all("inverted" not in note and "good ones" not in note for note in seen.notes)
