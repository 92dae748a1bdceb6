"""Copies of a network in threads train it as one would."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import QUIET, options, supply

from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.loop import train


def trained(path, copies, **changes):
    how = replace(options(), batch_size=6, freeze_norm=True, **changes)
    frames = supply(frames_per_epoch=14)  # the last batch leaves a copy without a frame
    record = train(frames, how, path, copies=copies, progress=QUIET)
    return record, read_checkpoint(path).tensors


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_give_the_weights_of_one_network_with_frozen_norms(tmp_path, copies):
    one_record, one = trained(tmp_path / "one.safetensors", 1)
    several_record, several = trained(tmp_path / "several.safetensors", copies)
    for alone, together in zip(one_record.history, several_record.history, strict=True):
        assert together["training_loss"] == pytest.approx(alone["training_loss"], rel=1e-4)
    for name in (name for name in one if name.startswith("model.")):
        torch.testing.assert_close(one[name], several[name], rtol=1e-2, atol=1e-3)


def test_the_same_number_of_copies_gives_the_same_weights(tmp_path):
    _, first = trained(tmp_path / "first.safetensors", 3)
    _, second = trained(tmp_path / "second.safetensors", 3)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_statistics_of_batch_norms_are_those_of_all_copies(tmp_path):
    how = replace(options(), batch_size=6)
    paths = [tmp_path / f"{copies}.safetensors" for copies in (1, 2)]
    for copies, path in enumerate(paths, 1):
        train(supply(frames_per_epoch=12), how, path, copies=copies, progress=QUIET)
    one, two = (read_checkpoint(path).tensors for path in paths)
    names = [name for name in one if name.endswith("running_mean")]
    assert names
    for name in names:
        assert torch.isfinite(two[name]).all()
        assert not torch.equal(one[name], torch.zeros_like(one[name]))
