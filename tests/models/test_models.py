"""The networks: their published sizes, their contract, and their blindness to flux."""

import math

import numpy as np
import pytest
import torch

from wnet_edge.models.back_projection import BackProjection
from wnet_edge.models.convnext import ConvNeXtBlock, GlobalResponseNorm
from wnet_edge.models.registry import (
    CountsNetwork,
    ModelName,
    NetworkInput,
    NetworkSpec,
    build,
    normalise,
    parameter_count,
)
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import far_field, inverse_far_field
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.scan import counts as preprocess

SPECS = [NetworkSpec(model, seen) for model in ModelName for seen in NetworkInput]
W3 = NetworkSpec(ModelName.W3, NetworkInput.BACK_PROJECTED)
PTYCHONN = NetworkSpec(ModelName.PTYCHONN)
PUBLISHED = 1_247_074


def probe(full_px: int = 128) -> np.ndarray:
    return zone_plate_probe(
        ZonePlate(modes=2, source_size_m=15e-9),
        wavelength_m=1.24e-10,
        window_px=full_px,
        pixel_size_m=15e-9,
    )


def network(spec: NetworkSpec, *, seed: int = 0, window_px: int = 64) -> CountsNetwork:
    return build(spec, seed=seed, probe=probe(2 * window_px), window_px=window_px)


def name(spec: NetworkSpec) -> str:
    return f"{spec.model.value}-{spec.input.value}"


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
    published = network(PTYCHONN)
    assert parameter_count(published) == PUBLISHED
    assert round(convolution_multiply_adds(published, frames(1)) / 1e6) == 402


@pytest.mark.parametrize("seen", list(NetworkInput))
def test_w3_has_8_26_percent_of_the_parameters_of_ptychonn(seen):
    count = parameter_count(network(NetworkSpec(ModelName.W3, seen)))
    assert count == pytest.approx(103_008, rel=0.005)
    assert 100 * count / PUBLISHED == pytest.approx(8.26, abs=0.05)


def test_w1_is_larger_than_ptychonn_and_w2_larger_still():
    w1, w2 = (parameter_count(network(NetworkSpec(m))) for m in (ModelName.W1, ModelName.W2))
    assert PUBLISHED < w1 < w2 < 5_000_000


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_outputs_have_the_shape_of_the_frames_and_lie_in_range(spec):
    amplitude, phase_rad = network(spec).eval()(frames(3))
    assert amplitude.shape == phase_rad.shape == (3, 1, 64, 64)
    assert 0 <= amplitude.min() <= amplitude.max() <= 2
    assert phase_rad.abs().max() <= math.pi


@pytest.mark.parametrize("window_px", [128, 256])
@pytest.mark.parametrize("model", list(ModelName))
def test_wider_windows_and_narrower_networks(model, window_px):
    spec = NetworkSpec(model, NetworkInput.BACK_PROJECTED, width=0.25)
    small = network(spec, window_px=window_px).eval()
    assert parameter_count(small) < 0.2 * parameter_count(network(NetworkSpec(model)))
    amplitude, phase_rad = small(torch.ones(1, 1, window_px, window_px))
    assert amplitude.shape == phase_rad.shape == (1, 1, window_px, window_px)


def test_a_window_the_encoder_cannot_halve_is_refused():
    with pytest.raises(ValueError, match="72 px is not a multiple of 16"):
        network(W3, window_px=72)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_networks_are_blind_to_flux(spec):
    trained, counts = network(spec).eval(), frames(2)
    for dim, bright in zip(trained(counts / 1000), trained(counts * 1000), strict=True):
        torch.testing.assert_close(dim, bright, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_empty_and_masked_frames_give_numbers(spec):
    counts = torch.zeros(2, 1, 64, 64)
    counts[1] = -1
    for output in network(spec).eval()(counts):
        assert torch.isfinite(output).all()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state():
    before = torch.get_rng_state()
    first, same, other = (network(W3, seed=s).state_dict() for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], same[k]) for k in first)
    stem = "network.encoder.0.0.0.weight"
    assert not torch.equal(first[stem], other[stem])


def test_a_convnext_block_begins_without_its_response_norm():
    x = torch.randn(2, 5, 7, 16, generator=torch.Generator().manual_seed(0))
    norm = GlobalResponseNorm(16)
    assert torch.equal(norm(x), x)
    norm.gain.data.fill_(1.0)
    # Woo et al. 2023, eqs. 1 to 3, in plain numpy.
    norms = np.sqrt((x.numpy() ** 2).sum(axis=(1, 2), keepdims=True))
    expected = x.numpy() * (1 + norms / norms.mean(axis=-1, keepdims=True))
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-4)


def test_a_convnext_block_sees_its_kernel_and_no_further():
    block = ConvNeXtBlock(4, kernel_px=7, expansion=4).eval()
    x = torch.zeros(1, 4, 21, 21)
    moved = x.clone()
    moved[..., 10, 10] = 1
    changed = (block(x) != block(moved)).any(dim=1)[0].nonzero()
    assert changed.min() == 7
    assert changed.max() == 13


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_the_empty_beam_projects_back_to_nothing(binning):
    lit = probe(64 * binning)
    intensity = np.sum(np.abs(far_field(lit)) ** 2, axis=0, dtype=np.float32)
    frame = torch.from_numpy(bin_frames(intensity, binning))[None, None]
    valid = torch.ones_like(frame)
    estimate = BackProjection(lit, 64)(normalise(frame, valid), valid)
    assert estimate.shape == (1, 2, 64, 64)
    assert estimate.abs().max() < 1e-4


@pytest.mark.parametrize("window_px", [48, 64])
def test_back_projection_is_one_step_of_epie(window_px):
    lit = probe(window_px)
    rng = np.random.default_rng(0)
    frame = np.abs(far_field(lit)).sum(axis=0) * rng.uniform(0.5, 1.5, (window_px, window_px))
    frame /= np.sqrt(np.mean(frame**2))
    far = far_field(lit)
    modulus = np.sqrt(np.sum(np.abs(far) ** 2, axis=0))
    rms = np.sqrt(np.mean(modulus**2))
    change = far / np.sqrt(modulus**2 + (0.1 * rms) ** 2) * (frame * rms - modulus)
    power = np.sum(np.abs(lit) ** 2, axis=0)
    expected = np.sum(np.conj(lit) * inverse_far_field(change), axis=0)
    expected /= power + 0.02 * power.max()
    seen = torch.from_numpy(frame.astype(np.float32))[None, None]
    real, imaginary = BackProjection(lit, window_px)(seen, torch.ones_like(seen))[0].numpy()
    np.testing.assert_allclose(real, expected.real, atol=1e-4)
    np.testing.assert_allclose(imaginary, expected.imag, atol=1e-4)


def test_the_strongest_modes_say_most():
    lit = probe(64)
    frame, valid = torch.rand(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    whole, both, strongest = (BackProjection(lit, 64, n)(frame, valid) for n in (None, 2, 1))
    torch.testing.assert_close(whole, both)
    left_out = (whole - strongest).square().sum() / whole.square().sum()
    assert 0 < left_out < 0.5


def test_masked_pixels_say_nothing_about_the_object():
    lit = probe()
    projection = BackProjection(lit, 64)
    frame, valid = torch.rand(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    valid[..., 20:24, :] = 0
    other = frame.clone()
    other[..., 20:24, :] = 9
    assert torch.equal(projection(frame, valid), projection(other, valid))


def test_normalisation_in_the_graph_is_that_of_preprocess():
    counts = frames(4)
    counts[1] = 0
    counts[2, :, 3:9] = -1
    counts[3] = -1
    expected = preprocess.normalise(counts.numpy())
    np.testing.assert_allclose(
        normalise(counts, (counts >= 0).float()).numpy(), expected, rtol=1e-5, atol=1e-6
    )
