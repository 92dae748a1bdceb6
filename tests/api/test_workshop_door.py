"""simulate, train and export from Python give what the commands give."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import wnet_edge
from wnet_edge.errors import OptionError, ScanError
from wnet_edge.package.opening import open_package

SMALL = {"epochs": 1, "batch_size": 4, "window_px": 64}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_same_weights(one, other):
    ours, theirs = load_file(one), load_file(other)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_a_simulated_scan_is_that_of_the_command(call):
    seen = []
    made = wnet_edge.simulate("ours.cxi", frames=9, seed=3, family="dots", progress=seen.append)
    assert (made, sum(seen)) == (Path("ours.cxi"), 9)
    words = ("--frames", 9, "--seed", 3, "--family", "dots", "-o", "theirs.cxi")
    assert call("simulate", *words)[0] == 0
    assert made.read_bytes() == Path("theirs.cxi").read_bytes()
    with pytest.raises(OptionError, match="family is 'dogs'; choose from"):
        wnet_edge.simulate("more.cxi", family="dogs")
    with pytest.raises(OptionError, match="go with --probe"):
        wnet_edge.simulate("more.cxi", energy_ev=9000)
    with pytest.raises(ScanError, match=r"ours\.cxi: exists already"):
        wnet_edge.simulate("ours.cxi")


def test_a_probe_may_be_an_array():
    scan = wnet_edge.read_scan(wnet_edge.simulate("a.cxi", frames=4))
    geometry = scan.geometry
    of_file = wnet_edge.simulate("c.cxi", frames=4, probe="a.cxi")
    other = wnet_edge.simulate(
        "b.cxi",
        frames=4,
        probe=scan.probe,
        energy_ev=geometry.energy_ev,
        distance_m=geometry.distance_m,
        pixel_size_m=geometry.detector_pixel_size_m,
    )
    frames = (np.asarray(wnet_edge.read_scan(one).frames[:]) for one in (of_file, other))
    np.testing.assert_array_equal(*frames)


def test_training_and_export_are_those_of_the_commands(call):
    scan = wnet_edge.simulate("scan.cxi", frames=100, seed=1)
    ours = wnet_edge.train(
        "ours.safetensors", model="w3", width=0.2, probe=scan, frames_per_epoch=8, **SMALL
    )
    words = ("--model", "w3", "--width", 0.2, "--probe", scan, "--frames-per-epoch", 8)
    more = ("--epochs", 1, "--batch-size", 4, "--window", 64, "-o", "theirs.safetensors")
    assert call("train", *words, *more)[0] == 0
    assert_same_weights(ours, "theirs.safetensors")
    calibration = wnet_edge.read_scan(wnet_edge.simulate("other.cxi", frames=400, seed=2))
    package = wnet_edge.export(
        checkpoint=ours,
        precisions=["fp32"],
        calibration=calibration,
        calibration_source="simulated",
        allow_untrained=True,
        output="ours.wnet",
    )
    words = ("--checkpoint", ours, "--precision", "fp32", "--calibration", "other.cxi")
    more = ("--calibration-source", "simulated", "--allow-untrained", "-o", "theirs.wnet")
    assert call("export", *words, *more)[0] == 0
    assert open_package(package).graphs == open_package(Path("theirs.wnet")).graphs
    assert open_package(package).manifest.window_px == 64
    with wnet_edge.open(package, provider="cpu") as runner:
        assert runner.infer(calibration).phase.size


def test_labelled_frames_train_as_a_scan_or_a_file():
    scan = wnet_edge.simulate("scan.cxi", frames=100, step_px=32, seed=1)
    options = {"model": "w3", "width": 0.2, "epochs": 1, "batch_size": 32}
    of_file = wnet_edge.train("file.safetensors", data=scan, **options)
    of_scan = wnet_edge.train("scan.safetensors", data=wnet_edge.read_scan(scan), **options)
    assert_same_weights(of_file, of_scan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "w9", "probe": "p.npy"}, "model is 'w9'; choose from"),
        ({"model": "w3"}, "give either --data or --probe"),
        ({"model": "w3", "probe": "p.npy", "device": "tpu"}, "device is 'tpu'; choose from"),
        ({"model": "w3", "probe": "p.npy", "families": ["cats"]}, "families is 'cats'"),
        ({"model": "w3", "probe": "p.npy", "resume": True, "init": "i"}, "--init starts"),
        ({"model": "w3", "data": "s.cxi", "energy_ev": 9e3}, "go to read_scan"),
    ],
)
def test_what_contradicts_itself_is_refused_before_work(arguments, message):
    with pytest.raises(OptionError, match=message):
        wnet_edge.train("out.safetensors", **arguments)
    assert not Path("out.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either --model"),
        ({"model": "w9"}, "model is 'w9'; choose from"),
        ({"package": "w3"}, "--package goes with --target ort or triton"),
        ({"model": "w3", "precisions": ["fp8"]}, "precisions is 'fp8'; choose from"),
        ({"model": "w3", "target": "tpu"}, "target is 'tpu'; choose from package, ort, triton"),
    ],
)
def test_an_export_that_can_not_be_is_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        wnet_edge.export(**arguments)


def test_a_package_is_laid_out_for_triton(here):
    folder = wnet_edge.export(package="known.wnet", target="triton", output="models")
    assert folder == Path("models")
    assert sorted(path.name for path in (here / "models").iterdir())


@pytest.mark.parametrize(
    "call", ["train('c', model='w3')", "export('w3')", "adapt('scan.h5', 'a.wnet')"]
)
def test_an_edge_install_says_what_the_workshop_needs(call):
    script = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; import wnet_edge\n"
        f"try:\n    wnet_edge.{call}\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "pip install 'wnet-edge[train]'" in done.stdout


def test_the_room_export_is_still_a_room():
    import wnet_edge.export.options as options

    assert options.ExportOptions().opset
    assert callable(wnet_edge.export)
