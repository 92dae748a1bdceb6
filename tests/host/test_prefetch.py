"""Work done ahead in another thread: in order, never far ahead, and over when its block is."""

import threading
from itertools import count

import pytest

from wnet_edge.host.prefetch import prefetched


def threads_named(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_everything_comes_in_order():
    with prefetched(lambda item: item * item, range(100), "square") as made:
        assert list(made) == [(item, item * item) for item in range(100)]


def test_work_goes_on_beside_the_caller_but_never_far_ahead():
    taken = []

    def items():
        for item in count():
            taken.append(item)
            yield item

    def make(item):
        return item, threading.current_thread().name

    with prefetched(make, items(), "maker") as made:
        for item, (same, name) in made:
            assert item == same
            assert name.startswith("maker")
            assert len(taken) <= item + 3
            if item == 20:
                break


def test_an_error_comes_in_its_place_and_ends_the_thread():
    def make(item):
        if item == 5:
            raise OSError("the disk is gone")
        return item

    seen = []
    with (
        pytest.raises(OSError, match="the disk is gone"),
        prefetched(make, range(100), "failing") as made,
    ):
        seen += (item for item, _ in made)
    assert seen == list(range(5))
    assert not threads_named("failing")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_the_block_ends_the_threads(error):
    done = []

    def interrupted():
        with (
            prefetched(str, count(), "outer") as strings,
            prefetched(done.append, strings, "inner") as made,
        ):
            next(made)
            raise error

    with pytest.raises(error):
        interrupted()
    assert not threads_named("outer")
    assert not threads_named("inner")
    assert len(done) <= 3
