"""Frames of a file: labels cut from a reconstruction, the split by region, what is varied."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_training import FULL_PX, Measurement, exact_patch, measurement

from wnet_edge.embedded import find_package
from wnet_edge.errors import ResultError, ScanError, TrainingError
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.images.result_file import Provenance, Result, write_result
from wnet_edge.io.scan_file import open_scan
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.package.opening import open_package
from wnet_edge.physics.gauge import amplitude_scale, probe_intensity
from wnet_edge.physics.gauge import labels as simulated_labels
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.scan.counts import network_counts
from wnet_edge.training.augmentation import Augmentation, augmented
from wnet_edge.training.stored import StoredFrames

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    return measurement(tmp_path_factory.mktemp("measurement"))


def cut(measured: Measurement, reference: Path | None = None, window_px: int = 32) -> CutLabels:
    placed = read_placed_image(reference or measured.reference, measured.scan)
    return CutLabels(placed, measured.scan, window_px)


def archive(measured: Measurement, folder: Path, **changes: object) -> Path:
    with np.load(measured.reference) as stored:
        arrays = {**stored, **changes}
    path = folder / "changed.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def exact_labels(measured: Measurement) -> tuple[np.ndarray, np.ndarray]:
    patches = np.stack([exact_patch(measured.object, corner) for corner in measured.corner_px])
    return simulated_labels(patches, measured.scan.probe, 32)


def errors(measured: Measurement, labels: PatchLabels) -> np.ndarray:
    """Illumination-weighted RMS of the complex difference from the exact labels, frame by frame."""
    found, exact = (a * np.exp(1j * phase_rad) for a, phase_rad in (labels, exact_labels(measured)))
    window = slice(16, 48)
    return amplitude_scale(found - exact, probe_intensity(measured.scan.probe)[window, window])


def test_labels_are_the_object_at_fractions_of_a_pixel(measured: Measurement, tmp_path: Path):
    everything = np.arange(45)
    fractions = archive(measured, tmp_path, window_top_left_px=measured.corner_px)
    assert errors(measured, cut(measured, fractions).read(everything)).max() < 2e-3
    whole = np.stack([exact_patch(measured.object, c) for c in np.rint(measured.corner_px)])
    blunt = errors(measured, simulated_labels(whole, measured.scan.probe, 32))
    assert blunt.max() > 0.1, "the object has no detail that a fraction of a pixel moves"
    # Whole windows tell the offset but for the mean of 45 roundings.
    assert errors(measured, cut(measured).read(everything)).max() < 0.3 * blunt.max()


def test_our_own_result_file_is_a_reference(measured: Measurement, tmp_path: Path):
    path, origin_px = tmp_path / "scan.wnet.h5", np.array([100, -41])
    offset = positions_px(measured.scan.positions_m, 10e-9)[0] - measured.corner_px[0]
    assert np.abs(offset - (100.25, -40.5)).max() < 1e-6
    moved = np.fft.ifft2(  # on the pixels of an image that begins at whole object pixels
        np.fft.fft2(measured.object)
        * np.outer(*(np.exp(2j * np.pi * np.fft.fftfreq(192) * s) for s in origin_px - offset))
    )
    image = moved.astype(np.complex64)
    coverage = np.ones(image.shape, np.float32)
    result = Result.of_image(image, coverage, np.zeros(2), origin_px, 10e-9, Provenance())
    write_result(path, result)
    labels = cut(measured, path)
    assert labels.usable.all()
    assert errors(measured, labels.read(np.arange(45))).max() < 2e-3
    coverage[:, 75:] = 0
    write_result(path, replace(result, coverage=coverage), force=True)
    assert 0 < cut(measured, path).usable.sum() < 45


def test_frames_whose_window_leaves_the_reference_are_left_out_and_counted(
    measured: Measurement, tmp_path: Path
):
    cropped = archive(
        measured,
        tmp_path,
        object=measured.object[8:, :72],
        window_top_left_px=np.rint(measured.corner_px).astype(int) - (8, 0),
    )
    labels = cut(measured, cropped)
    whole = np.rint(measured.corner_px)
    outside = (whole[:, 0] < 7.5) | (whole[:, 1] + FULL_PX > 72.5)
    assert 0 < outside.sum() < 40
    np.testing.assert_array_equal(labels.usable, ~outside)
    assert labels.describe()["labels"]["left_out"] == outside.sum()
    kept = np.flatnonzero(labels.usable)
    amplitude, _ = labels.read(kept)
    difference = np.abs(amplitude - exact_labels(measured)[0][kept])
    assert difference.max() < 0.05  # those at the border too
    supply = StoredFrames(measured.scan, labels, seed=0)
    assert set(supply.training) | set(supply.held_out) <= set(kept)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_top_left_px": None}, "has no `window_top_left_px`"),
        ({"window_top_left_px": np.zeros((3, 2))}, r"is \(3, 2\), not \(N, 2\) for the 45 frames"),
        ({"window_top_left_px": np.zeros((45, 2), int)}, "px from the positions of scan.cxi"),
        ({"window_top_left_px": np.full((45, 2), np.nan)}, "is not finite"),
        ({"object_pixel_m": 12e-9}, "pixels of 12 nm, scan.cxi of 10 nm"),
        ({"object": np.ones((40, 40), np.complex64)}, "none of the 45 frames"),
        ({"object": None}, "holds no complex image"),
    ],
)
def test_references_that_do_not_fit_are_refused(
    measured: Measurement, tmp_path: Path, changes: dict[str, object], message: str
):
    with pytest.raises(ResultError, match=message):
        cut(measured, archive(measured, tmp_path, **changes))


@pytest.mark.parametrize("wrong", ["conjugated", "flipped", "turned", "elsewhere"])
def test_references_that_do_not_explain_the_frames_are_refused(wrong: str):
    scan = open_scan(EXAMPLE)
    placed = read_placed_image(REFERENCE, scan)
    image = placed.image.image
    changed = {
        "conjugated": image.conj(),
        "flipped": image[::-1],
        "turned": image.T,
        "elsewhere": np.roll(image, 12, axis=0),
    }[wrong]
    placed = replace(placed, image=replace(placed.image, image=changed, coverage=None))
    with pytest.raises(
        ResultError, match=r"explains only .* of the frames .* the same orientation"
    ):
        CutLabels(placed, scan, 64)


def test_windows_and_scans_that_do_not_fit_are_refused(measured: Measurement):
    with pytest.raises(ScanError, match="can't be binned to 48 px"):
        cut(measured, window_px=48)
    blind = replace(measured.scan, probe=None)
    with pytest.raises(ScanError, match="has no probe"):
        CutLabels(read_placed_image(measured.reference, measured.scan), blind, 32)


def test_a_tenth_is_held_out_behind_a_gap_of_a_window(measured: Measurement):
    supply = StoredFrames(measured.scan, cut(measured), seed=0)
    rows = measured.corner_px[:, 0]
    training, held_out = supply.training, supply.held_out
    assert rows[held_out].min() - rows[training].max() > FULL_PX
    assert np.ptp(rows[held_out]) <= 0.1 * np.ptp(rows)
    assert len(held_out) > 0
    first, second = (np.concatenate([b.phase_rad for b in supply.epoch(e, 4)]) for e in (0, 1))
    assert len(first) == supply.frames_per_epoch == len(training)
    assert not np.array_equal(first, second)
    assert np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_counts_are_those_of_the_file_and_bad_values_are_masked(
    measured: Measurement, tmp_path: Path
):
    supply = StoredFrames(measured.scan, cut(measured), seed=0)
    batch = next(supply.validation(2, 2))
    frame = np.asarray(measured.scan.frames[int(supply.held_out[0])], dtype=np.float32)
    np.testing.assert_array_equal(
        batch.counts[0], network_counts(frame[None], measured.scan.mask, 2)[0]
    )
    path = tmp_path / "scan.cxi"
    path.write_bytes(measured.scan.path.read_bytes())
    with h5py.File(path, "a") as file:
        values = file["entry_1/data_1/data"][()].astype(np.float32)
        del file["entry_1/data_1/data"]
        values[:, 31:33, 31:33] = np.nan
        values[:, 5, 5] = -3
        file["entry_1/data_1/data"] = values
    batch = next(StoredFrames(open_scan(path), cut(measured), seed=0).validation(2, 2))
    assert (batch.counts[:, 0, 16, 16] == -1).all()
    assert (batch.counts < 0).sum() == 2


def test_less_flux_has_the_noise_of_less_flux():
    counts = np.full((400, 1, 8, 8), 1000, np.float32)
    rng = np.random.default_rng(0)
    counts = rng.poisson(counts).astype(np.float32)
    counts[:, 0, 2, 3] = -1
    thinned = augmented(counts, Augmentation((0.25, 0.25), 0.0, 0.0), rng)
    assert (thinned[:, 0, 2, 3] == -1).all()
    live = thinned[thinned >= 0]
    assert live.mean() == pytest.approx(250, rel=0.01)
    assert live.var() == pytest.approx(250, rel=0.05)  # Poisson: its variance is its mean
    dim = augmented(counts, Augmentation((0.01, 1.0)), rng).mean(axis=(1, 2, 3))
    assert dim.min() < 30 < 700 < dim.max()
    noisy = augmented(np.zeros_like(counts) + 100, Augmentation((1.0, 1.0), 0.5, 0.1), rng)
    assert (noisy < 0).mean() == pytest.approx(0.1, rel=0.1)
    assert noisy[noisy >= 0].mean() == pytest.approx(150, rel=0.02)


def test_augmentation_changes_training_frames_anew_each_epoch_and_never_those_that_validate(
    measured: Measurement,
):
    labels = cut(measured)
    plain = StoredFrames(measured.scan, labels, seed=0)
    varied = StoredFrames(measured.scan, labels, seed=0, augmentation=Augmentation())
    for one, other in zip(plain.validation(9, 4), varied.validation(9, 4), strict=True):
        assert np.array_equal(one.counts, other.counts)
    one, other, again, next_epoch = (
        next(supply.epoch(epoch, 8)).counts
        for supply, epoch in ((plain, 0), (varied, 0), (varied, 0), (varied, 1))
    )
    assert np.array_equal(other, again)
    assert not np.array_equal(other, next_epoch)
    assert (other.sum(dim=(1, 2, 3)) < one.sum(dim=(1, 2, 3))).all()
    assert varied.describe() == {
        **plain.describe(),
        "augmentation": {"flux": [0.05, 1.0], "background": 1e-4, "dead_fraction": 1e-3},
    }


def test_frames_that_are_no_counts_are_not_thinned(measured: Measurement):
    frames = np.asarray(measured.scan.frames[:], dtype=np.float32)
    scan = replace(measured.scan, frames=frames / frames.max())
    labels = cut(measured)
    StoredFrames(scan, labels, seed=0)
    with pytest.raises(TrainingError, match="give --no-augment"):
        StoredFrames(scan, labels, seed=0, augmentation=Augmentation())


@pytest.mark.parametrize("changes", [{"flux": (0.0, 1.0)}, {"background": 1.0}])
def test_augmentation_out_of_range_is_refused(changes):
    with pytest.raises(TrainingError):
        Augmentation(**changes)


def test_labels_of_the_real_scan_are_what_the_embedded_network_sees():
    scan = open_scan(EXAMPLE)
    labels = CutLabels(read_placed_image(REFERENCE, scan), scan, 64)
    assert labels.usable.sum() > 0.98 * scan.frame_count
    supply = StoredFrames(scan, labels, seed=0)
    assert len(supply.training) > 250
    batch = next(supply.validation(64, 64))
    session = open_best_graph(
        open_package(find_package("w3")), RunnerOptions(provider=Provider.CPU)
    )
    _, phase_rad = session.graph.run(batch.counts.numpy())
    lit = np.broadcast_to(supply.instrument.weight > 1, phase_rad.shape)
    found = np.corrcoef(phase_rad[lit], batch.phase_rad.numpy()[lit])[0, 1]
    assert found > 0.85
