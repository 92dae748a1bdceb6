"""Checkpoints that no training wrote, by metadata or tensors: one line, before any work."""

import json
import struct
from time import perf_counter

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from tiny_training import QUIET, options, supply

from wnet_edge.embedded import zoo_checkpoint
from wnet_edge.errors import CheckpointError
from wnet_edge.training.loop import train

NAN, LONG = float("nan"), "x" * 5000


@pytest.fixture(scope="module")
def zoo():
    """The metadata and tensors of trained weights."""
    with safe_open(zoo_checkpoint("w3"), "pt") as file:
        metadata = json.loads(file.metadata()["wnet_edge"])
        return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path, metadata, tensors):
    path.write_bytes(save(tensors, {"wnet_edge": json.dumps(metadata)}))
    return path


VALUES = {
    "a NaN width": (("network", "width"), NAN, "network.width is nan, not within 0.05 … 4"),
    "a width of 1e9": (("network", "width"), 1e9, "network.width is 1000000000.0, not within"),
    "a width of 0": (("network", "width"), 0.0, "network.width is 0.0"),
    "a width in words": (("network", "width"), "wide", "network.width is wide"),
    "a list for the network": (("network",), [], "network is not an object"),
    "another model": (("network", "model"), "w9", "'w9' is not a valid ModelName"),
    "a number for the model": (("network", "model"), 3, "network.model is not text"),
    "no instrument": (("instrument",), None, "instrument is not an object"),
    "a window of 1e9": (("instrument", "window_px"), 10**9, "instrument.window_px is 1000000000"),
    "a window of 8.0": (("instrument", "window_px"), 64.0, "instrument.window_px is 64.0"),
    "a binning of 0": (("instrument", "binning"), 0, "instrument.binning is 0"),
    "a binning of true": (("instrument", "binning"), True, "instrument.binning is True"),
    "a pixel of 5e-324": (("instrument", "object_pixel_size_m"), 5e-324, "is 5e-324, not within"),
    "an infinite wavelength": (("instrument", "wavelength_m"), float("inf"), "wavelength_m is inf"),
    "a negative epoch": (("epoch",), -1, "epoch is -1"),
    "an epoch of 10^30": (("epoch",), 10**30, "epoch is 1000000000000000000000000000000"),
    "no date": (("created",), "yesterday", "created is not an ISO 8601 time"),
    "a date before all": (
        ("created",),
        "0001-01-01T00:00:00+00:00",
        "created is not a time in UTC",
    ),
    "a date without a zone": (("created",), "2026-01-01T00:00:00", "created is not a time in UTC"),
    "a number for a date": (("created",), 0, "created is not text"),
    "a list for the settings": (("settings",), [1, 2], "settings is not an object"),
    "a list for the recipe": (("settings", "recipe"), ["fast"], "settings.recipe is not an object"),
    "a seed of −1": (("settings", "seed"), -1, "settings.seed is -1"),
    "a seed of 2^64": (("settings", "seed"), 2**64, "settings.seed is 18446744073709551616"),
    "a NaN setting": (("settings", "recipe", "weight_decay"), NAN, "weight_decay is nan"),
    "an infinite setting": (("settings", "data", "gain_error"), float("inf"), "gain_error is inf"),
    "photons in words": (
        ("settings", "data", "detector", "photons"),
        ["many", "more"],
        "settings.data.detector.photons is not a range",
    ),
    "photons turned round": (
        ("settings", "data", "detector", "photons"),
        [1e8, 1e6],
        "settings.data.detector.photons is not a range",
    ),
    "a list for the detector": (("settings", "data", "detector"), [], "photons is not a range"),
    "no frames": (("settings", "data", "frames_per_epoch"), 0, "frames_per_epoch is 0"),
    "no fingerprint": (
        ("settings", "data", "probe_sha256"),
        "abc",
        "probe_sha256 is not a SHA-256",
    ),
    "no history": (("history",), [], "history is not a list of epochs"),
    "an object for the history": (("history",), {}, "history is not a list of epochs"),
    "a history of words": (("history",), [{"loss": "low"}], "history holds something else"),
    "a NaN history": (("history",), [{"loss": NAN}], "history holds something else"),
    "a text of 5000 letters": (("settings", "data", "source"), LONG, "a text is too long or holds"),
    "an escape sequence": (("settings", "weights"), "\x1b[2J", "control characters"),
    "100,000 settings": (
        ("settings", "many"),
        list(range(100_000)),
        "more than 10000 values, or is nested too deeply",
    ),
    "an unknown key": (("surprise",), 1, "unexpected keyword argument 'surprise'"),
}


@pytest.mark.parametrize("name", VALUES)
def test_metadata_that_no_training_wrote_are_told_of_in_one_line(call, zoo, tmp_path, name):
    metadata, tensors = zoo
    (*outer, last), value, told = VALUES[name]
    changed = inner = json.loads(json.dumps(metadata))
    for key in outer:
        inner = inner[key]
    inner[last] = value
    path = write(tmp_path / "bad.safetensors", changed, tensors)
    refused(call, path, told)


def refused(call, path, told):
    began = perf_counter()
    code, out, err = call("export", "--checkpoint", path, "-o", path.with_name("p.wnet"))
    assert perf_counter() - began < 10
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith(f"Error: {path}: ")
    assert told in err
    assert err.strip().isprintable()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_metadata_that_are_no_object_are_told_of(call, zoo, tmp_path):
    for plain in ("[]", "3", "null", "[" * 100_000, '{"a":', "NaN"):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(save(zoo[1], {"wnet_edge": plain}))
        refused(call, path, "not a wnet-edge checkpoint, or damaged")


def test_tensors_that_no_training_wrote_are_told_of(call, zoo, tmp_path):
    metadata, tensors = zoo
    path = tmp_path / "bad.safetensors"
    name = next(name for name in tensors if name.startswith("model."))
    for changed, told in (
        (tensors | {name: torch.full_like(tensors[name], NAN)}, "weights that are not finite"),
        (tensors | {name: torch.zeros(3)}, "its weights do not fit w3"),
        ({n: t for n, t in tensors.items() if n != name}, "its weights do not fit w3"),
        ({n: t for n, t in tensors.items() if n != "probe"}, "not a wnet-edge checkpoint"),
        (
            tensors | {"probe": torch.full((1, 128, 128, 2), NAN)},
            "dark in the network's window, or",
        ),
        (tensors | {"probe": torch.zeros(3)}, "not a wnet-edge checkpoint, or damaged"),
        (tensors | {"probe": torch.zeros((1, 64, 64, 2))}, "needs a probe of (modes, 128, 128)"),
    ):
        refused(call, write(path, metadata, changed), told)


def test_a_file_beyond_any_size_is_not_read(call, zoo, tmp_path):
    path = write(tmp_path / "bad.safetensors", *zoo)
    with path.open("r+b") as file:
        file.truncate(100 << 30)  # a hole: no disk behind it
    refused(call, path, "larger than any network here")
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    refused(call, path, "not a wnet-edge checkpoint, or damaged")


def test_an_optimiser_that_is_no_optimisers_state_is_told_of(tmp_path):
    path = tmp_path / "c.safetensors"
    train(supply(), options(), path, progress=QUIET)
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["wnet_edge"])
        # Copies: what safetensors gives is the file itself, which is written anew below.
        whole = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    first = "optimizer.0.exp_avg"
    for changed in (
        {name: tensor for name, tensor in whole.items() if not name.startswith("optimizer.")},
        {name: tensor for name, tensor in whole.items() if name != "rng.torch"},
        whole | {"optimizer.many.step": torch.zeros(1)},
        whole | {"optimizer.999999999.step": torch.zeros(1)},
        whole | {first: torch.zeros(3)},
        whole | {"rng.torch": torch.zeros(3)},
    ):
        write(path, metadata, changed)
        with pytest.raises(CheckpointError, match=r"optimiser's state.*start from its weights"):
            train(supply(), options(), path, resume=True, progress=QUIET)
