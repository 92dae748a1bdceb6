"""Optics in words, and the probes that they suggest."""

import numpy as np
import pytest

from wnet_edge.adapt.optics_text import optics_from
from wnet_edge.errors import OptionError, SimulationError
from wnet_edge.physics.forward import far_field
from wnet_edge.physics.optics import (
    FresnelZonePlate,
    KirkpatrickBaez,
    Lens,
    Pinhole,
    Sampling,
    guessed_probe,
)

SAMPLING = Sampling(wavelength_m=1.24e-10, window_px=128, pixel_size_m=15e-9)
BLANK = np.zeros((128, 128), np.float32)


def modulus(optics, mean=BLANK, defocus_m=0.0):
    return np.abs(far_field(guessed_probe(optics, SAMPLING, mean, defocus_m)))[0]


def radius_of(values):
    """Of the pixels above half of the maximum, in cycles per metre, rows and columns."""
    rows, columns = np.nonzero(values > 0.5 * values.max())
    unit = 128 * 15e-9
    return np.abs(rows - 64).max() / unit, np.abs(columns - 64).max() / unit


@pytest.mark.parametrize(
    ("text", "optics"),
    [
        (
            "zone-plate:diameter=150um,outermost-zone=30nm",
            FresnelZonePlate(150e-6, 30e-9),
        ),
        (
            "zone-plate: diameter = 0.15 mm, outermost-zone=30nm, stop=60µm, defocus=-1e2um",
            FresnelZonePlate(150e-6, 30e-9, 60e-6, -100e-6),
        ),
        (
            "kb:aperture-v=200um,aperture-h=300um,focal-v=0.3m,focal-h=200mm",
            KirkpatrickBaez((200e-6, 300e-6), (0.3, 0.2)),
        ),
        ("pinhole:diameter=2um,distance=3mm", Pinhole(2e-6, 3e-3)),
        ("lens", Lens()),
        ("LENS:defocus=10um", Lens(10e-6)),
    ],
)
def test_words_become_optics(text, optics):
    found = optics_from(text)
    assert type(found) is type(optics)
    for name, value in vars(optics).items():
        assert getattr(found, name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "describes no optics"),
        ("mirror:diameter=1um", "write one of zone-plate:"),
        ("pinhole", "lacks diameter, distance"),
        ("pinhole:diameter=2,distance=3mm", "is not a length with a unit"),
        ("pinhole:diameter=2um,distance=3mm,colour=red", "'colour=red' has no place"),
        ("pinhole:diameter=2um,diameter=3um", "has no place"),
        ("pinhole:diameter=-2um,distance=3mm", "is not within"),
        ("pinhole:diameter=2e99um,distance=3mm", "is not within"),
        ("zone-plate:diameter=1um,outermost-zone=30nm,stop=2um", "the stop is as wide"),
        ("lens:defocus=nanum", "is not a length"),
    ],
)
def test_what_describes_nothing_is_refused_with_the_form(text, said):
    with pytest.raises(OptionError, match=said):
        optics_from(text)


def test_a_zone_plate_lights_a_ring_of_its_numerical_aperture():
    lit = modulus(FresnelZonePlate(150e-6, 40e-9, 60e-6))
    assert radius_of(lit) == pytest.approx((1 / 80e-9, 1 / 80e-9), rel=0.1)
    assert lit[64, 64] < 0.01 * lit.max()  # behind the stop


def test_mirrors_light_a_rectangle():
    lit = modulus(KirkpatrickBaez((200e-6, 300e-6), (0.1, 0.1)))
    wavelength_m = SAMPLING.wavelength_m
    expected = [aperture / (0.2 * wavelength_m) for aperture in (200e-6, 300e-6)]
    assert radius_of(lit) == pytest.approx(expected, rel=0.15)


def test_a_distant_pinhole_lights_an_airy_disc():
    """First dark ring of the wave at the sample at 1.22 λ z / D (Goodman, eq. 4-31)."""
    diameter_m, distance_m = 0.2e-6, 1.2e-3
    probe = np.abs(guessed_probe(Pinhole(diameter_m, distance_m), SAMPLING, BLANK, 0.0))[0]
    profile = probe[64, 64:]
    dark = int(np.argmax((profile[1:-1] < profile[:-2]) & (profile[1:-1] < profile[2:]))) + 1
    first_m = 1.22 * SAMPLING.wavelength_m * distance_m / diameter_m
    assert dark * SAMPLING.pixel_size_m == pytest.approx(first_m, rel=0.08)


def test_the_mean_frame_gives_the_modulus():
    mean = np.random.default_rng(3).poisson(50, (128, 128)).astype(np.float32)
    assert modulus(Lens(), mean, 20e-6) == pytest.approx(np.sqrt(mean), rel=1e-4)


def test_optics_that_no_window_shows_are_refused():
    with pytest.raises(SimulationError, match="not within"):
        guessed_probe(Pinhole(50e-6, 1e-3), SAMPLING, BLANK, 0.0)
    with pytest.raises(SimulationError, match="check their numbers"):
        modulus(FresnelZonePlate(150e-6, 1e-9, 140e-6))
