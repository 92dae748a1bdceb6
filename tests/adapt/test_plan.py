"""The plan fits the budget, or says how much more it takes."""

import re

import pytest
from tiny_training import options

from wnet_edge.adapt.plan import make_plan, threads_to_try
from wnet_edge.errors import TrainingError

PER_FRAME_S = 0.007


def planned(minutes, per_frame_s=PER_FRAME_S, quantises=True):
    return make_plan(60 * minutes, per_frame_s, options(batch_size=32), quantises=quantises)


@pytest.mark.parametrize("minutes", [3, 10, 30, 300])
@pytest.mark.parametrize("per_frame_s", [0.001, 0.007])
def test_a_plan_takes_its_time(minutes, per_frame_s):
    plan = planned(minutes, per_frame_s)
    assert plan.training_s + plan.export_s == pytest.approx(60 * minutes)
    assert plan.epochs * plan.frames * per_frame_s == pytest.approx(plan.training_s, rel=0.05)
    assert plan.frames % 32 == 0
    assert 4 <= plan.epochs <= 24


def test_a_package_without_int8_leaves_more_time_to_train():
    assert planned(3, quantises=False).training_s > planned(3).training_s


def test_too_short_a_time_says_how_much_more_would_do():
    with pytest.raises(TrainingError, match="the time is too short") as refused:
        planned(1)
    more = float(re.search(r"give at least ([\d.]+) --minutes more", str(refused.value))[1])
    assert planned(1 + more + 0.1).frames > 0


def test_going_on_keeps_the_plan_and_takes_the_time_that_is_left():
    plan = planned(10)
    later = plan.going_on(200.0, PER_FRAME_S, quantises=True)
    assert (later.epochs, later.frames) == (plan.epochs, plan.frames)
    assert later.training_s == pytest.approx(200 - plan.export_s)
    assert plan.going_on(1.0, PER_FRAME_S, quantises=True).training_s == 0


@pytest.mark.parametrize(
    ("cores", "threads"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (64, [1, 8])]
)
def test_numbers_of_threads_to_try(cores, threads):
    assert threads_to_try(cores) == threads
