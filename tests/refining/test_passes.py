"""Passes over frames: a true gradient, an object that comes nearer to the truth, noise left out."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.probe import shifted_probe
from wnet_edge.refining.affine import affine_part
from wnet_edge.refining.fourier import to_detector, to_object
from wnet_edge.refining.frame_model import STEPS, FrameModel
from wnet_edge.refining.misfit import Misfit
from wnet_edge.refining.options import PositionCorrection, RefineOptions
from wnet_edge.refining.passes import Passes, Scanned
from wnet_edge.refining.stopping import passes_that_pay

N = 32


def probe(power=1e5, modes=2):
    """Two speckled, round modes, (modes, N, N) complex64."""
    rng = np.random.default_rng(3)
    y, x = np.indices((N, N)) - N // 2
    spot = np.exp(-(y**2 + x**2) / (2 * 5.0**2))
    smooth = np.exp(1j * (0.05 * y**2 + 0.03 * x * y))
    both = np.stack([spot * smooth, 0.4 * spot * x / 5 * smooth])[:modes]
    both = both * (1 + 0.1 * rng.standard_normal(both.shape))
    return (both * np.sqrt(power / np.sum(np.abs(both) ** 2))).astype(np.complex64)


def truth(size):
    """A smooth object with phases of half a radian, (size, size) complex64."""
    rng = np.random.default_rng(5)
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size)] * 2))
    waves = np.fft.fft2(rng.standard_normal((2, size, size))) * np.exp(-((q / 0.12) ** 2))
    phase, loss = np.fft.ifft2(waves).real
    return ((1 - 0.1 * np.abs(loss / loss.std())) * np.exp(0.4j * phase / phase.std())).astype("c8")


def scan(photons=1e6, binning=1, pixels=6, step=4.0, mask=None):
    """Poisson frames of the truth, and the truth."""
    positions = np.stack(np.meshgrid(*[np.arange(pixels) * step] * 2, indexing="ij"), -1)
    positions = positions.reshape(-1, 2) + np.random.default_rng(8).uniform(1, 2, (pixels**2, 2))
    object_ = truth(int(pixels * step) + N + 2)
    lit = probe(photons)
    frames = []
    for row, column in positions:
        at = int(row), int(column)
        moved = shifted_probe(lit, np.array([row % 1, column % 1]))
        patch = object_[at[0] : at[0] + N, at[1] : at[1] + N]
        frames.append(bin_frames(expected_counts(patch[None], moved)[0], binning))
    counts = np.random.default_rng(2).poisson(frames).astype(np.float32)
    if mask is not None:
        counts[:, mask] = -1
    used = np.ones(len(counts), np.bool_)
    return Scanned(lit, positions, used, binning, lambda a, b: counts[a:b]), object_


def error(found, object_):
    """Relative to the truth's contrast, after a common factor, where all frames lie."""
    inner = slice(N // 2, -N // 2)
    one, true = found[inner, inner].ravel(), object_[inner, inner].ravel()
    factor = np.vdot(one, true) / np.vdot(one, one)
    return np.linalg.norm(factor * one - true) / np.linalg.norm(true - true.mean())


def guess(object_, rng):
    """The truth, as blurred and noisy as a network's image."""
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(len(object_))] * 2))
    blurred = np.fft.ifft2(np.fft.fft2(object_) * np.exp(-((q / 0.08) ** 2)))
    noise = rng.standard_normal((2, *object_.shape))
    return (blurred + 0.05 * (noise[0] + 1j * noise[1])).astype(np.complex64)


@pytest.mark.parametrize("binning", [1, 2])
def test_the_correction_is_the_gradient_of_the_misfit(binning):
    rng = np.random.default_rng(1)
    fraction = (3, 5)
    model = FrameModel(probe(1e3), binning)
    window = truth(N).astype(np.complex64)
    bins = N // binning
    root = np.sqrt(rng.poisson(40.0, (bins, bins))).astype(np.float32)
    root[:3] = np.nan

    def misfit(object_):
        modelled = np.sqrt(model.counts(object_.astype(np.complex64), fraction))
        return np.nansum((modelled - root).astype(np.float64) ** 2)

    waves, _ = model.lacking(window, fraction, root)
    lacking = model.on_object(waves, fraction)
    for _ in range(3):
        direction = rng.standard_normal((2, N, N))
        direction = direction[0] + 1j * direction[1]
        step = 1e-3
        slope = (misfit(window + step * direction) - misfit(window - step * direction)) / (2 * step)
        assert slope == pytest.approx(-2 * np.vdot(lacking, direction).real, rel=5e-3)


def test_the_way_back_is_the_adjoint_of_the_way_to_the_detector():
    rng = np.random.default_rng(7)
    model = FrameModel(probe(1e3), binning=1)
    fraction = (2, 6)
    illumination = shifted_probe(probe(1e3), np.array(fraction) / STEPS)

    def waves(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)

    window, detector = waves(N, N), waves(2, N, N)
    there = np.vdot(detector, to_detector(illumination * window))
    back = np.vdot(model.on_object(to_object(detector.copy()), fraction), window)
    assert there == pytest.approx(back, rel=1e-4)


def test_modelled_frames_are_those_of_the_forward_model():
    fraction = (2, 7)
    window = truth(N)
    for binning in (1, 2, 4):
        counts = FrameModel(probe(), binning).counts(window, fraction)
        moved = shifted_probe(probe(), np.array(fraction) / STEPS)
        known = bin_frames(expected_counts(window[None], moved)[0], binning)
        np.testing.assert_allclose(np.fft.fftshift(counts), known, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("binning", "masked"), [(1, False), (2, False), (1, True)])
def test_passes_bring_the_object_nearer_to_the_truth(binning, masked):
    mask = np.zeros((N // binning,) * 2, np.bool_)
    if masked:
        mask[14:16, :] = True  # a detector gap beside the centre
    scanned, object_ = scan(1e7, binning, mask=mask)
    start = guess(object_, np.random.default_rng(4))
    with Passes(scanned, start, threads=2) as passes:
        misfits = [passes.improve() for _ in range(10)]
        last = passes.misfit()
    assert last.r_factor < 0.5 * misfits[0].r_factor
    assert error(passes.object, object_) < 0.5 * error(start, object_)


def test_a_probe_of_another_power_leaves_the_amplitude():
    scanned, object_ = scan(1e7)
    with Passes(replace(scanned, probe=0.1 * scanned.probe), object_, threads=1) as passes:
        passes.improve()
    inner = slice(N // 2, -N // 2)
    ratio = np.abs(passes.object[inner, inner]) / np.abs(object_[inner, inner])
    assert np.median(ratio) == pytest.approx(1, abs=0.02)


def position_error_px(found, true):
    off = found - true
    off = off - off.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


def test_positions_come_nearer_to_the_truth():
    scanned, object_ = scan(1e7, pixels=8)
    true = scanned.corner_px
    wrong = true + np.random.default_rng(6).normal(0, 0.7, true.shape)
    larger = np.pad(object_, 8, mode="edge")
    with Passes(
        replace(scanned, corner_px=wrong + 8), larger, threads=2, positions=PositionCorrection.EACH
    ) as passes:
        before = passes.misfit()
        for _ in range(15):
            passes.improve()
        after = passes.misfit()
    given = position_error_px(wrong, true)
    assert position_error_px(passes.corner_px, true) < 0.4 * given
    assert after.r_factor < 0.5 * before.r_factor


def test_right_positions_stay_and_what_is_affine_is_kept():
    scanned, object_ = scan(1e7, pixels=8)
    true = scanned.corner_px
    with Passes(scanned, object_, threads=2, positions=PositionCorrection.EACH) as passes:
        for _ in range(5):
            passes.improve()
    assert position_error_px(passes.corner_px, true) < 0.1
    stretched = 1.02 * (true - true.mean(axis=0)) + true.mean(axis=0) + 8
    larger = np.pad(object_, 8, mode="edge")
    with Passes(
        replace(scanned, corner_px=stretched), larger, threads=2, positions=PositionCorrection.EACH
    ) as passes:
        for _ in range(5):
            passes.improve()
    _, affine = affine_part(stretched, passes.corner_px)
    assert affine.scale == pytest.approx((1, 1), abs=1e-4)


def test_a_wrong_probe_comes_nearer_to_the_truth_and_the_object_with_it():
    scanned, object_ = scan(1e7, pixels=8)
    distance = 4.0
    squared = np.hypot(*np.meshgrid(*[np.fft.fftfreq(N)] * 2)) ** 2
    defocused = np.fft.ifft2(np.fft.fft2(scanned.probe) * np.exp(-1j * np.pi * distance * squared))
    wrong = replace(scanned, probe=defocused.astype(np.complex64))
    start = guess(object_, np.random.default_rng(4))
    found = {}
    for improves in (False, True):
        with Passes(wrong, start, threads=2, probe=improves) as passes:
            for _ in range(30):
                passes.improve()
            found[improves] = error(passes.object, object_), passes.misfit().r_factor
    assert found[True][0] < 0.7 * found[False][0]
    assert found[True][1] < 0.6 * found[False][1]
    power = np.sum(np.abs(passes.probe) ** 2)
    assert power == pytest.approx(np.sum(np.abs(passes.given_probe) ** 2), rel=1e-3)


@pytest.mark.parametrize("photons", [1e3, 1e4, 1e6])
def test_noise_is_not_fitted(photons):
    """As many passes as `auto` takes: the error to the truth does not rise on the way."""
    scanned, object_ = scan(photons)
    start = guess(object_, np.random.default_rng(4))
    errors = [error(start, object_)]
    with Passes(scanned, start, threads=2) as passes:
        auto = RefineOptions(passes=None)
        _, stopped = passes_that_pay(
            passes, auto, lambda _: errors.append(error(passes.object, object_))
        )
    assert stopped in {"the rest is photon noise", "a pass gains less than 1 %"}
    assert max(errors[1:]) < errors[0]
    assert errors[-1] < 1.05 * min(errors)


class Interrupted:
    """Passes whose third one is stopped."""

    frame_count = 10

    def __init__(self):
        self.done = 0

    def improve(self):
        if self.done == 2:
            raise KeyboardInterrupt
        self.done += 1
        return Misfit(deviation=1 / self.done, total=1.0, noise=0.0)


def test_an_interrupted_pass_leaves_the_whole_ones_before_it():
    r_factors, stopped = passes_that_pay(Interrupted(), RefineOptions(passes=5))
    assert (r_factors, stopped) == ([1.0, 0.5], "interrupted in pass 3 of 5")


def test_threads_change_no_bit():
    scanned, object_ = scan(1e5)
    start = guess(object_, np.random.default_rng(4))
    found = []
    for threads in (1, 3):
        with Passes(scanned, start, threads) as passes:
            for _ in range(2):
                passes.improve()
        found.append(passes.object)
    np.testing.assert_array_equal(*found)


def test_frames_that_are_not_used_change_nothing():
    scanned, object_ = scan(1e5)
    spoiled = scanned.read(0, 36).copy()
    spoiled[7] = 1e6
    used = scanned.used.copy()
    used[7] = False
    read = [scanned.read, lambda a, b: spoiled[a:b]]
    found = []
    for one in read:
        frames = Scanned(scanned.probe, scanned.corner_px, used, 1, one)
        with Passes(frames, object_, threads=2) as passes:
            passes.improve()
        found.append(passes.object)
    np.testing.assert_array_equal(*found)
