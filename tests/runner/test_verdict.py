"""What an image has to be to be trusted, whatever the package says of itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wnet_edge
from wnet_edge.embedded import find_package
from wnet_edge.framing.framing import Framing
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.manifest import CalibrationSource, FrameFit
from wnet_edge.package.opening import open_package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.image.self_check import FrameSample, self_check
from wnet_edge.runner.image.verdict import LEAST_EXPLAINED, Cause, Verdict, judge
from wnet_edge.scan.preparation import Preparation

EXAMPLE = Path(wnet_edge.__file__).parent / "examples" / "cnm26id_scan247_64px.cxi"
UP = Orientation.IDENTITY
MEASURED = FrameFit(0.092, 0.004, 0.212, 0.95, 100)
"""Level of a good package, on a measured scan."""
SIMULATED = FrameFit(0.030, 0.004, 0.200, 1.0, 100)
"""Level of a package that was judged on frames of the very probe it knows."""
UNTRAINED = FrameFit(0.191, 0.004, 0.212, 0.3, 100)

shares = st.floats(1e-6, 3)


@pytest.fixture(scope="module")
def seen():
    """The embedded scan through w3: what the self-check is given."""
    package = open_package(find_package("w3"))
    scan = Framing(find_scan(EXAMPLE), package).framed(UP, UP).scan
    opened = open_best_graph(package, RunnerOptions(provider=Provider.CPU))
    sample = FrameSample(scan.frame_count)
    frames = next(scan.batches(scan.frame_count))
    preparation = Preparation(scan.mask, scan.frame_px // package.manifest.window_px)
    sample.add(0, preparation.prepare(frames).counts)
    return scan, package, sample, infer(scan, opened).stitched


def checked(seen, image, level=None):
    scan, package, sample, stitched = seen
    if level is not None:
        package = replace(package, manifest=replace(package.manifest, self_check=level))
    image = replace(stitched, image=image)
    return self_check(sample, scan.setup, scan.positions_m, package.probe, package, image, 100)


@pytest.mark.parametrize("level", [MEASURED, SIMULATED, UNTRAINED, FrameFit(9.0, 0.0, 9.5, 1, 1)])
def test_an_image_of_ones_is_never_trusted(seen, level):
    result = checked(seen, np.ones_like(seen[3].image), level)
    assert result.verdict is not Verdict.TRUSTED
    assert result.fit.explained == pytest.approx(0, abs=1e-3)
    assert result.fit.r_factor == pytest.approx(result.fit.r_blank, rel=1e-3)


@given(
    r_floor=shares,
    r_blank=shares,
    contrast=shares,
    level_r=shares,
    level_blank=shares,
    simulated=st.booleans(),
)
def test_what_explains_no_more_than_a_blank_object_is_never_trusted(
    r_floor, r_blank, contrast, level_r, level_blank, simulated
):
    fit = FrameFit(r_blank, r_floor, r_blank, contrast, 10)
    level = FrameFit(level_r, 0.0, level_blank, 1.0, 10)
    verdict, cause = judge(fit, level, simulated=simulated)
    assert verdict is not Verdict.TRUSTED
    assert cause is not None


@pytest.mark.parametrize("contrast", [0.3, 0.5, 2.0])
def test_the_contrast_that_frames_ask_for_is_found(seen, contrast):
    """The image turned flatter or steeper by a factor is told by about that factor."""
    image = seen[3].image
    mean = np.mean(image[seen[3].coverage > 0])
    right = checked(seen, image).fit.contrast
    result = checked(seen, (mean + contrast * (image - mean)).astype(np.complex64))
    assert result.fit.contrast == pytest.approx(contrast * right, rel=0.2)
    assert result.trusted is False


def test_the_image_as_it_is_is_trusted_and_told_in_full(seen):
    result = checked(seen, seen[3].image)
    assert result.trusted
    assert result.warning is None
    assert result.text.startswith("R-factor 0.092 (blank object 0.212), explains 57 %, contrast ")
    assert result.text.endswith(": trusted")


def test_a_level_from_simulated_frames_is_none_for_measured_ones():
    """Once refused: an image that correlates 0.970 with the true object, at R 0.096."""
    assert judge(FrameFit(0.096, 0.004, 0.210, 1.0, 100), SIMULATED) == (Verdict.TRUSTED, None)


@pytest.mark.parametrize(
    ("r_blank", "contrast", "verdict", "cause"),
    [
        (0.210, 1.0, Verdict.TRUSTED, None),
        (0.176, 1.0, Verdict.TRUSTED, None),
        (0.150, 1.0, Verdict.UNKNOWN, Cause.SIMULATED_LEVEL),
        (0.095, 1.0, Verdict.UNKNOWN, Cause.SIMULATED_LEVEL),
        (0.150, 0.5, Verdict.NOT_TRUSTED, Cause.FLAT),
        (0.210, 0.5, Verdict.NOT_TRUSTED, Cause.FLAT),
    ],
)
def test_a_good_r_factor_is_not_called_wrong_by_a_level_from_simulation(
    r_blank, contrast, verdict, cause
):
    """However weakly the sample scatters: R 0.096 is what good images leave of measured frames."""
    fit = FrameFit(0.096, 0.004, r_blank, contrast, 100)
    assert judge(fit, SIMULATED, simulated=True) == (verdict, cause)
    assert judge(replace(fit, r_factor=0.15), SIMULATED, simulated=True)[0] is Verdict.NOT_TRUSTED


def test_the_package_says_whether_its_level_is_from_simulation(seen, monkeypatch):
    """An image that explains two fifths, where measured frames are known to be as far off."""
    monkeypatch.setattr("wnet_edge.runner.image.verdict.MEASURED_R", 0.15)
    scan, package, sample, stitched = seen
    noise_rad = np.random.default_rng(0).normal(0, 0.25, stitched.image.shape)
    noisy = (stitched.image * np.exp(1j * noise_rad)).astype(np.complex64)
    image = replace(stitched, image=noisy)
    causes = {}
    for source in CalibrationSource:
        calibration = replace(package.manifest.calibration, source=source)
        manifest = replace(package.manifest, self_check=SIMULATED, calibration=calibration)
        other = replace(package, manifest=manifest)
        result = self_check(sample, scan.setup, scan.positions_m, package.probe, other, image, 100)
        causes[source] = result.cause
    assert causes[CalibrationSource.MEASURED] is Cause.PARTLY
    assert causes[CalibrationSource.SIMULATED] is Cause.SIMULATED_LEVEL


def test_a_hardly_trained_network_is_told_and_not_trusted():
    """Of 640 frames: R 0.191, which is its package's own."""
    verdict, cause = judge(UNTRAINED, UNTRAINED)
    assert verdict is Verdict.NOT_TRUSTED
    assert cause is Cause.UNTRAINED


@pytest.mark.parametrize(
    ("fit", "level", "verdict", "cause"),
    [
        (None, MEASURED, Verdict.UNKNOWN, Cause.NOT_COVERED),
        (MEASURED, None, Verdict.UNKNOWN, Cause.NO_LEVEL),
        (FrameFit(0.08, 0.004, 0.085, 1.0, 9), MEASURED, Verdict.UNKNOWN, Cause.WEAK_SAMPLE),
        (FrameFit(0.15, 0.004, 0.085, 4.0, 9), MEASURED, Verdict.NOT_TRUSTED, Cause.UNLIKE),
        (FrameFit(0.09, 0.004, 0.21, 1.0, 9), UNTRAINED, Verdict.NOT_TRUSTED, Cause.UNTRAINED),
        (FrameFit(0.07, 0.004, 0.072, 1.1, 9), UNTRAINED, Verdict.NOT_TRUSTED, Cause.UNTRAINED),
        (FrameFit(0.38, 0.38, 0.44, 1.0, 9), MEASURED, Verdict.UNKNOWN, Cause.NOISE),
        (FrameFit(0.23, 0.004, 0.24, 1.0, 9), MEASURED, Verdict.NOT_TRUSTED, Cause.UNLIKE),
        (FrameFit(0.13, 0.004, 0.21, 1.0, 9), MEASURED, Verdict.NOT_TRUSTED, Cause.PARTLY),
        (FrameFit(0.10, 0.004, 0.21, 0.5, 9), MEASURED, Verdict.NOT_TRUSTED, Cause.FLAT),
    ],
)
def test_the_likely_cause_is_named(fit, level, verdict, cause):
    assert judge(fit, level) == (verdict, cause)


def test_limits_agree_with_each_other():
    """What is near a good package's level is clearly better than blank."""
    assert 1 - 1.2 * MEASURED.unexplained >= LEAST_EXPLAINED


def test_nothing_compared_is_unknown(seen):
    scan, package, _, stitched = seen
    empty = FrameSample(scan.frame_count)
    result = self_check(empty, scan.setup, scan.positions_m, package.probe, package, stitched, 100)
    assert (result.fit, result.verdict) == (None, Verdict.UNKNOWN)
