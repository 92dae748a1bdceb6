"""Every instrument gets its package: small scans, tight beams, no scan at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_training import FULL_PX, PIXEL_M, QUIET, WAVELENGTH_M, instrument, options, supply

from wnet_edge.calibration.ranges import RangeMethod
from wnet_edge.comparing.patch_errors import illuminated_px
from wnet_edge.errors import CheckpointError, ScanError
from wnet_edge.export.budget import Budget
from wnet_edge.export.export_network import Calibration, ExportJob, Watch, run_export
from wnet_edge.export.export_package import export_package
from wnet_edge.export.int8.search import OverBudgetError
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.export.simulated_scan import simulated_material
from wnet_edge.judging.yardstick import Loss
from wnet_edge.package.manifest import CalibrationSource, Precision
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan
from wnet_edge.scan.scan import Scan
from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.loop import train
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions

PRECISIONS = (Precision.FP32, Precision.INT8)
HURRIED = ExportOptions(
    precisions=PRECISIONS,
    optional=PRECISIONS,
    calibrators=(RangeMethod.MINMAX,),
    allow_untrained=True,
)
LAX = replace(HURRIED, budget=Budget(2.0, 100.0))
ALONE = replace(HURRIED, precisions=(Precision.FP32,))
WINDOW_PX = FULL_PX // 2


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network that was trained for a moment."""
    path = tmp_path_factory.mktemp("network") / "c.safetensors"
    train(supply(), options(epochs=1), path, progress=QUIET)
    return path


def focus():
    """A focus of a few pixels with faint, wide tails."""
    rows, columns = np.indices((FULL_PX, FULL_PX)) - FULL_PX // 2
    probe = np.exp(-np.hypot(rows, columns) / 1.5) + 0.004
    return Instrument(probe[None].astype(np.complex64), WINDOW_PX, 2, PIXEL_M, WAVELENGTH_M)


def scan_of(place, frames, step_px=4):
    """A scan in memory, as if measured."""
    detector = Detector((1e6, 1e6))
    choice = ScanOptions(frames, step_px, window_px=WINDOW_PX, detector=detector, seed=5)
    made = VirtualScan(place.probe, choice)
    return Scan(
        path=Path("dense.h5"),
        frames=np.concatenate([batch.frames for batch in made.batches(50)]).astype(np.float32),
        positions_m=made.positions_px * PIXEL_M,
        geometry=None,
        mask=np.zeros((FULL_PX, FULL_PX), bool),
        probe=made.probe,
        assumed_object_pixel_size_m=PIXEL_M,
    )


def test_a_scan_without_room_for_gaps_of_a_window_calibrates(checkpoint, tmp_path):
    scan = scan_of(instrument(), 100)
    made = export_package(checkpoint, Material(scan), tmp_path / "p.wnet", LAX, force=False)
    assert set(made.made) == set(PRECISIONS)
    calibration = made.package.manifest.calibration
    assert calibration.source is CalibrationSource.MEASURED
    assert "px apart, candidates chosen on object pixels that the report" in calibration.split
    (warning,) = [line for line in made.warnings if "too small for strips" in line]
    assert warning.startswith("dense.h5: ")
    assert "--calibration-source simulated" in warning
    assert made.made[Precision.INT8].loss.ssim < 2


def test_a_few_frames_are_enough_for_fp32_alone_and_too_few_for_the_others(checkpoint, tmp_path):
    material = Material(scan_of(instrument(), 9))
    made = export_package(checkpoint, material, tmp_path / "p.wnet", ALONE, force=False)
    assert made.package.manifest.calibration.split == "whole scan"
    assert len(made.package.golden.counts) == 4
    assert not any("calibrate" in line or "strips" in line for line in made.warnings)
    cure = "dense.h5: 9 frames are too few.*with --calibration, or .*--calibration-source simulated"
    with pytest.raises(ScanError, match=cure):
        export_package(checkpoint, material, tmp_path / "q.wnet", HURRIED, force=False)
    assert not (tmp_path / "q.wnet").exists()


def test_a_tight_focus_has_a_structural_similarity(tmp_path):
    place, path = focus(), tmp_path / "c.safetensors"
    frames = SimulationOptions(frames_per_epoch=8, canvas_px=128, frames_per_canvas=4)
    train(SimulatedFrames(place, frames, seed=3), options(epochs=1), path, progress=QUIET)
    assert illuminated_px(place.intensity) < 11
    material = Material(scan_of(place, 144, step_px=2))
    made = export_package(path, material, tmp_path / "p.wnet", LAX, force=False)
    loss = made.made[Precision.INT8].loss
    assert 0 < loss.ssim < 2
    assert made.package.manifest.precisions[Precision.INT8].retention.measures["single_phase_ssim"]


def test_frames_are_simulated_where_no_scan_was_measured(checkpoint, tmp_path):
    told = []
    job = ExportJob(
        checkpoint=checkpoint,
        output=tmp_path / "p.wnet",
        options=LAX,
        calibration=Calibration(source=CalibrationSource.SIMULATED),
    )
    package = run_export(job, Watch(lambda _: None, told.append)).package
    calibration = package.manifest.calibration
    assert calibration.source is CalibrationSource.SIMULATED
    assert calibration.split == "calibration strip of a scan simulated for this instrument"
    assert calibration.frames > 32
    assert package.manifest.kinds() == PRECISIONS
    assert not any("strips" in line for line in told[0].warnings)


def test_simulated_frames_are_those_of_the_network_s_own_training(checkpoint):
    record = read_checkpoint(checkpoint).record
    scan = simulated_material(instrument(), record, Orientation.IDENTITY).scan
    assert (scan.frame_px, scan.full_window_px) == (WINDOW_PX, FULL_PX)
    low, high = record.settings["data"]["detector"]["photons"]
    assert low < np.median(scan.frames.sum(axis=(1, 2))) < high
    again = simulated_material(instrument(), record, Orientation.IDENTITY).scan
    np.testing.assert_array_equal(scan.frames, again.frames)


def test_the_embedded_scan_does_not_calibrate_another_instrument(checkpoint, tmp_path):
    job = ExportJob(checkpoint=checkpoint, output=tmp_path / "p.wnet")
    with pytest.raises(
        CheckpointError, match=r"another instrument.*--calibration-source simulated"
    ):
        run_export(job, Watch(lambda _: None, lambda _: None))


def test_a_precision_over_the_budget_never_prevents_a_package_unless_named(checkpoint, tmp_path):
    material = Material(scan_of(instrument(), 100))
    narrow = replace(HURRIED, budget=Budget(0.0, 0.0))
    made = export_package(checkpoint, material, tmp_path / "p.wnet", narrow, force=False)
    assert made.package.manifest.kinds() == (Precision.FP32,)
    (warning,) = [line for line in made.warnings if line.startswith("int8 is left out")]
    assert "; allow it with --max-ssim-drop 0." in warning
    named = replace(narrow, optional=())
    with pytest.raises(OverBudgetError, match=r"SSIM falls by 0.*allow it with --max-ssim-drop 0"):
        export_package(checkpoint, material, tmp_path / "q.wnet", named, force=False)


@pytest.mark.parametrize(
    ("losses", "flags"),
    [
        ((Loss(0.0104, 0.1),), "--max-ssim-drop 0.011"),
        ((Loss(0.0104, 0.253), Loss(0.02, None)), "--max-ssim-drop 0.02 --max-psnr-drop-db 0.26"),
        ((Loss(float("nan"), None),), ""),
    ],
)
def test_the_flags_that_allow_a_loss_are_named(losses, flags):
    assert Budget().flags_for(*losses) == flags
    values = dict(zip(flags.split()[::2], map(float, flags.split()[1::2]), strict=True))
    if values:
        enough = Budget(values["--max-ssim-drop"], values.get("--max-psnr-drop-db", 0.2))
        assert all(enough.holds(loss) for loss in losses)
