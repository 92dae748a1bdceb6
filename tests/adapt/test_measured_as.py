"""Frames are simulated as the scan's are measured."""

from dataclasses import replace

import numpy as np
import pytest
from small_instrument import PHOTONS, SAMPLING, write_small_scan

from wnet_edge.adapt.measured_as import measured_as
from wnet_edge.errors import ScanError
from wnet_edge.io.scan_file import open_scan
from wnet_edge.physics.instrument import Instrument
from wnet_edge.scan.counts import MASKED
from wnet_edge.training.simulation import SimulatedFrames


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return open_scan(write_small_scan(tmp_path_factory.mktemp("measured") / "scan.cxi"))


@pytest.fixture(scope="module")
def instrument(scan):
    return Instrument(scan.probe, 64, 1, scan.object_pixel_size_m, SAMPLING.wavelength_m)


def test_counts_are_trained_around_those_of_the_scan(scan, instrument):
    measured = measured_as(scan, instrument)
    low, high = measured.counts
    assert low < measured.median_counts / 5 < measured.median_counts < PHOTONS < high
    assert not measured.dark.any()


def test_a_beamstop_is_dark_in_training_and_does_not_dim_the_beam(scan, instrument):
    mask = np.zeros((64, 64), np.bool_)
    mask[28:36, 28:36] = True
    stopped = replace(scan, mask=mask)
    measured, open_beam = measured_as(stopped, instrument), measured_as(scan, instrument)
    assert np.array_equal(measured.dark, mask)
    assert measured.median_counts < open_beam.median_counts
    assert measured.counts[1] == pytest.approx(open_beam.counts[1], rel=0.3)
    simulation = replace(measured.simulation(32, 64), canvas_px=128)
    frames = SimulatedFrames(instrument, simulation, seed=1, dark=measured.dark)
    (batch,) = frames.first_frames(0, 32, 32)
    assert (batch.counts.numpy()[:, 0, mask] == MASKED).all()
    assert (batch.counts.numpy()[:, 0, ~mask] >= 0).mean() > 0.98
    assert frames.describe()["dark_pixels"] == 64


def test_background_is_trained_for_up_to_what_the_frames_show(scan, instrument):
    lifted = replace(scan, frames=np.asarray(scan.frames[:]) + 0.3 * PHOTONS / 64**2)
    assert measured_as(lifted, instrument).background > 0.2


def test_frames_that_are_no_far_field_of_the_probe_are_refused_with_the_cure(scan, instrument):
    noise = np.random.default_rng(1).poisson(100, (100, 64, 64)).astype(np.float32)
    with pytest.raises(ScanError, match=r"no far field of the probe .* --optics"):
        measured_as(replace(scan, frames=noise), instrument)
