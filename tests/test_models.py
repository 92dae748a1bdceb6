"""The networks: their published sizes, their contract, and their blindness to flux."""

import math

import numpy as np
import pytest
import torch

from wnet_edge import preprocess
from wnet_edge.models.registry import ModelName, build, normalise, parameter_count


def convolution_multiply_adds(network: torch.nn.Module, counts: torch.Tensor) -> int:
    total = 0

    def count(layer, _inputs, output):
        nonlocal total
        total += layer.weight.numel() * output.shape[2] * output.shape[3]

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    network(counts)
    return total


def frames(count: int) -> torch.Tensor:
    noise = torch.Generator().manual_seed(0)
    return torch.poisson(1000 * torch.rand(count, 1, 64, 64, generator=noise), generator=noise)


def test_ptychonn_is_the_published_network():
    network = build(ModelName.PTYCHONN, seed=0)
    assert parameter_count(network) == 1_247_074
    assert round(convolution_multiply_adds(network, frames(1)) / 1e6) == 402


def test_w3_has_8_26_percent_of_the_parameters_of_ptychonn():
    count = parameter_count(build(ModelName.W3, seed=0))
    assert count == pytest.approx(103_008, rel=0.005)
    assert 100 * count / 1_247_074 == pytest.approx(8.26, abs=0.05)


@pytest.mark.parametrize("model", list(ModelName))
def test_outputs_have_the_shape_of_the_frames_and_lie_in_range(model):
    amplitude, phase_rad = build(model, seed=0).eval()(frames(3))
    assert amplitude.shape == phase_rad.shape == (3, 1, 64, 64)
    assert 0 <= amplitude.min() <= amplitude.max() <= 2
    assert phase_rad.abs().max() <= math.pi


@pytest.mark.parametrize("model", list(ModelName))
def test_networks_are_blind_to_flux(model):
    network, counts = build(model, seed=0).eval(), frames(2)
    for dim, bright in zip(network(counts / 1000), network(counts * 1000), strict=True):
        torch.testing.assert_close(dim, bright, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model", list(ModelName))
def test_empty_and_masked_frames_give_numbers(model):
    counts = torch.zeros(2, 1, 64, 64)
    counts[1] = -1
    for output in build(model, seed=0).eval()(counts):
        assert torch.isfinite(output).all()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state():
    before = torch.get_rng_state()
    first, same, other = (build(ModelName.W3, seed=s).state_dict() for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], same[k]) for k in first)
    assert not torch.equal(first["network.stem.0.weight"], other["network.stem.0.weight"])


def test_normalisation_in_the_graph_is_that_of_preprocess():
    counts = frames(4)
    counts[1] = 0
    counts[2, :, 3:9] = -1
    counts[3] = -1
    expected = preprocess.normalise(counts.numpy())
    np.testing.assert_allclose(normalise(counts).numpy(), expected, rtol=1e-5, atol=1e-6)
