"""`infer`, `demo`, `inspect` and `verify` as a user calls them: outputs, exit codes, one line."""

import json

import h5py
import numpy as np
import pytest
from onnx import helper
from tiny import content, onnx_bytes

from wnet_edge.io.images.result_file import read_result
from wnet_edge.package.packing import write_package


def fails(outcome, *words):
    """Exit code 1 and one line on stderr that has all of these words."""
    code, _, err = outcome
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


INFER = ("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu")


def test_infer(here, call, known):
    code, out, err = call(*INFER)
    assert code == 0
    (warning,) = err.splitlines()
    assert warning.startswith("Warning: scan.cxi: R-factor ")
    assert ": unknown: the package holds no R-factor of its own instrument" in warning
    assert "36 of 36 frames in" in out
    assert "picture: scan.wnet.png" in out
    result = read_result(here / "scan.wnet.h5")
    assert result.process.package_name == "known"
    assert result.process.command_line == " ".join(("wnet-edge", *INFER))
    assert result.process.provider == "cpu"
    assert set(result.process.versions) == {"wnet-edge", "numpy", "h5py", "onnxruntime"}
    covered = result.coverage > 0
    row, column = result.origin_px
    object_ = known.object_[row:, column:][: covered.shape[0], : covered.shape[1]]
    np.testing.assert_allclose(result.amplitude[covered], np.abs(object_)[covered], atol=5e-3)
    assert (here / "scan.wnet.png").read_bytes().startswith(b"\x89PNG")
    with h5py.File(here / "scan.wnet.h5") as file:
        assert file["entry/reconstruction"].attrs["signal"] == "phase"


def test_infer_json(here, call):
    code, out, _ = call(*INFER, "--json", "-o", "a.h5", "--image", "b.png")
    assert code == 0
    values = json.loads(out.splitlines()[-1])
    assert values["frames_received"] == values["frames_processed"] == 36
    assert values["frames_lost"] == 0
    assert values["seconds"] > 0
    assert values["frames_per_second"] == pytest.approx(36 / values["seconds"])
    assert (values["provider"], values["precision"]) == ("cpu", "fp32")
    assert (values["results"], values["picture"]) == (["a.h5"], "b.png")
    assert (here / "a.h5").exists()
    assert (here / "b.png").exists()


def test_existing_outputs_are_kept(here, call):
    (here / "scan.wnet.png").write_text("mine")
    fails(call(*INFER), "scan.wnet.png: exists already", "--force")
    assert not (here / "scan.wnet.h5").exists()
    assert call(*INFER, "--force")[0] == 0
    assert (here / "scan.wnet.png").read_bytes().startswith(b"\x89PNG")


def test_a_scan_is_never_an_output(here, call):
    before = (here / "scan.cxi").read_bytes()
    fails(call(*INFER, "--force", "-o", "scan.cxi"), "is a scan to read")
    fails(call(*INFER, "-o", "x", "--image", "x"), "written twice")
    assert (here / "scan.cxi").read_bytes() == before


def test_several_scans(here, call, known):
    known.write(here / "other.cxi")
    code, out, _ = call("infer", "scan.cxi", "other.cxi", "--package", "./known.wnet", "--json")
    assert code == 0
    assert [json.loads(line)["scan"] for line in out.splitlines()] == ["scan.cxi", "other.cxi"]
    code, _, err = call("infer", "scan.cxi", "other.cxi", "--image", "one.png")
    assert code == 2
    assert "Traceback" not in err
    (here / "deep").mkdir()
    known.write(here / "deep" / "scan.cxi")
    folder = ("-o", "images", "--package", "known.wnet")
    assert call("infer", "scan.cxi", "deep/scan.cxi", *folder)[0] == 0
    names = sorted(path.name for path in (here / "images").glob("*.h5"))
    assert names == sorted([f"{here.name}_scan.wnet.h5", "deep_scan.wnet.h5"])
    again = call("infer", "scan.cxi", "./scan.cxi", *folder, "--force")
    fails(again, "written twice")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("infer", "none.cxi"), ["w3: no embedded package"]),
        (("infer", "none.cxi", "--package", "known.wnet"), ["none.cxi: no such file"]),
        (("infer", ".", "--package", "known.wnet"), [".: is a folder"]),
        (("infer", "scan.cxi", "--package", "no.wnet"), ["no.wnet: no such file"]),
        ((*INFER, "--precision", "int8"), ["holds no int8 graph", "fp32"]),
        ((*INFER, "-o", "none/a.h5"), ["no folder none"]),
        (("inspect", "known.png"), ["known.png: no such file"]),
        (("verify", "scan.cxi/"), ["scan.cxi"]),
    ],
)
def test_failures_are_one_line(here, call, monkeypatch, arguments, words):
    monkeypatch.setattr("wnet_edge.embedded._HERE", here)
    fails(call(*arguments), *words)
    assert sorted(path.name for path in here.iterdir()) == ["known.wnet", "scan.cxi"]


@pytest.mark.parametrize(
    "arguments",
    [("infer",), ("infer", "s", "--precision", "fp64"), ("infer", "s", "--batch-size", "0")],
)
def test_usage_errors_exit_2(call, arguments):
    code, _, err = call(*arguments)
    assert code == 2
    assert "Traceback" not in err


def test_interrupted_half_way(here, call, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("wnet_edge.stitching.stitcher.Stitcher.finish", interrupted)
    assert call(*INFER)[0] == 1
    assert sorted(path.name for path in here.iterdir()) == ["known.wnet", "scan.cxi"]


def test_demo_writes_and_replaces(here, call, known, monkeypatch):
    (here / "packages").mkdir()
    known.write(here / "example.cxi", binned=True)
    (here / "known.wnet").rename(here / "packages" / "w3.wnet")
    monkeypatch.setattr("wnet_edge.embedded._HERE", here)
    monkeypatch.setattr("wnet_edge.cli.demo.EXAMPLE_SCAN", here / "example.cxi")
    for _ in range(2):
        code, out, _ = call("demo", "--provider", "cpu")
        assert code == 0
        assert "frames/s (cpu as asked" in out
        assert "picture: wnet-edge-demo.png" in out
    assert (here / "wnet-edge-demo.h5").exists()


@pytest.mark.usefixtures("here")
def test_inspect_package(call):
    code, out, _ = call("inspect", "known.wnet", "--json")
    values = json.loads(out)
    assert code == 0
    assert (values["kind"], values["model"], values["window_px"]) == ("package", "tiny", 16)
    assert values["precisions"]["fp32"]["opset"] == 20
    code, out, _ = call("inspect", "known.wnet")
    assert "orientation: identity" in out
    assert "  fp32:" in out


@pytest.mark.usefixtures("here")
def test_inspect_scan(call, data_dir):
    code, out, _ = call("inspect", "scan.cxi", "--json")
    values = json.loads(out)
    assert code == 0
    assert (values["format"], values["far_field"]) == ("CXI 1.6", True)
    assert values["frames"]["count"] == values["positions"]["count"] == 36
    assert values["energy_ev"]["where"] == "/entry_1/instrument_1/source_1/energy"
    code, out, _ = call("inspect", data_dir / "petra_p25_nearfield.cxi")
    assert code == 0
    assert "far_field: no" in out
    assert "near-field" in out


def test_verify(here, call):
    wrong = onnx_bytes(
        [helper.make_node("Relu", ["counts"], [n]) for n in ("amplitude", "phase")], 8
    )
    write_package(here / "right.wnet", content())
    write_package(here / "wrong.wnet", content(wrong))
    code, out, _ = call("verify", "right.wnet", "--provider", "cpu")
    assert code == 0
    assert "fp32 on cpu passed" in out
    outcome = call("verify", "wrong.wnet", "--provider", "cpu", "--json")
    fails(outcome, "fp32 on cpu does not reproduce the golden patches here")
    values = json.loads(outcome[1])
    assert not values["passed"]
    (check,) = values["checks"]
    assert check["precision"] == "fp32"
    assert check["phase_rad"] > 0.2
    damaged = bytearray((here / "right.wnet").read_bytes())
    damaged[5000] ^= 1
    (here / "right.wnet").write_bytes(damaged)
    fails(call("verify", "right.wnet"), "right.wnet: not an intact package")
