"""A package is worth what its images explain of frames that training never saw."""

import pytest

from wnet_edge.adapt.grade import LIT, NOISE, SHORT, SMALL, SMOOTH, WRONG, grade_of
from wnet_edge.package.manifest import FrameFit, Grade

GOOD = FrameFit(0.09, 0.01, 0.21, 0.95, 100)
HALF = FrameFit(0.15, 0.01, 0.21, 0.70, 100)
FLAT = FrameFit(0.17, 0.01, 0.21, 0.40, 100)
WRONG_WAY_UP = FrameFit(0.205, 0.01, 0.21, 1.2, 100)
NOISY = FrameFit(0.40, 0.38, 0.45, 1.0, 100)


@pytest.mark.parametrize(
    ("image", "refined", "grade", "reason"),
    [
        (GOOD, GOOD, Grade.GOOD, None),
        (HALF, GOOD, Grade.USABLE, "infer --refine 5"),
        (HALF, HALF, Grade.NOT_USABLE, SHORT),
        (FLAT, FLAT, Grade.NOT_USABLE, SHORT),
        (WRONG_WAY_UP, WRONG_WAY_UP, Grade.NOT_USABLE, WRONG),
        (NOISY, NOISY, Grade.USABLE, NOISE),
        (None, None, Grade.NOT_USABLE, SMALL),
    ],
)
def test_grades(image, refined, grade, reason):
    found, why = grade_of(image, refined, 5, 100.0)
    assert found is grade
    assert why is None if reason is None else reason in why


def test_a_smooth_probe_is_told_where_it_is_why():
    assert SMOOTH in grade_of(HALF, GOOD, 5, 2.0)[1]
    assert grade_of(HALF, HALF, 5, 2.0) == (Grade.NOT_USABLE, SMOOTH)
    assert grade_of(GOOD, GOOD, 5, 2.0) == (Grade.GOOD, None)


def test_a_refined_image_of_frames_with_a_background_says_nothing():
    assert grade_of(HALF, GOOD, 5, 100.0, lit=True) == (Grade.NOT_USABLE, LIT)
    assert grade_of(GOOD, GOOD, 5, 100.0, lit=True) == (Grade.GOOD, None)
