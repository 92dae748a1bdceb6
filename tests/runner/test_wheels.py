"""Wheels of ONNX Runtime that overwrite, hide or tear each other are told, with the cure."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from wnet_edge.runner.doctor.wheels import Wheel, import_fault, installed_wheels, wheels_fault

HERE = Path("/site-packages")


def wheel(name="onnxruntime", version="1.31.1", folder=HERE, lost_files=0):
    return Wheel(name, version, folder, lost_files)


@pytest.fixture
def no_wheels(monkeypatch, tmp_path):
    """A path without any installed distribution; gives a folder on it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def install(folder, name, version, files, *, top_level=True):
    """What pip leaves of a wheel: its files and its record of them."""
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    if top_level:
        (information / "top_level.txt").write_text("onnxruntime\n")
    record = io.StringIO()
    rows = csv.writer(record)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        rows.writerow([path, "sha256=unread", len(text)])
    rows.writerow([f"{information.name}/RECORD", "", ""])
    (information / "RECORD").write_text(record.getvalue())


@pytest.mark.parametrize("top_level", [True, False])
def test_wheels_in_one_folder_are_seen_to_overwrite_each_other(no_wheels, top_level):
    core = "onnxruntime/capi/state.so"
    install(no_wheels, "onnxruntime_gpu", "1.23.0", {core: "with cuda"}, top_level=top_level)
    assert wheels_fault(installed_wheels()) is None
    plain = {core: "plain", "onnxruntime/__init__.py": ""}
    install(no_wheels, "onnxruntime", "1.31.1", plain, top_level=top_level)
    install(
        no_wheels,
        "onnxruntime_extensions",
        "1",
        {"onnxruntime_extensions/a.py": ""},
        top_level=False,
    )
    found = {one.name: one.lost_files for one in installed_wheels()}
    assert found == {"onnxruntime": 0, "onnxruntime-gpu": 1}


def test_a_wheel_that_another_tore_holes_into_is_told(no_wheels):
    files = {"onnxruntime/__init__.py": "1", "onnxruntime/capi/state.so": "binary"}
    install(no_wheels, "onnxruntime_gpu", "1.31.1", files)
    (no_wheels / "onnxruntime/capi/state.so").unlink()
    assert wheels_fault(installed_wheels()).startswith(
        "1 files of onnxruntime-gpu 1.31.1 are missing or another's: pip uninstall -y "
        "onnxruntime-gpu, then pip install onnxruntime-gpu"
    )


def test_a_folder_that_is_on_the_path_twice_has_its_wheel_once(no_wheels, monkeypatch):
    install(no_wheels, "onnxruntime", "1.31.1", {"onnxruntime/__init__.py": "1"})
    link = no_wheels.with_name("lib64")
    link.symlink_to(no_wheels)
    monkeypatch.setattr(sys, "path", [str(no_wheels), str(link)])
    assert [str(one) for one in installed_wheels()] == ["onnxruntime 1.31.1"]


def test_a_wheel_hides_another_in_a_later_folder():
    system = wheel("onnxruntime-gpu", folder=Path("/usr/lib/dist-packages"))
    fault = wheels_fault((wheel(), system))
    assert fault.startswith("onnxruntime 1.31.1 in /site-packages hides onnxruntime-gpu 1.31.1")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("onnxruntime", "onnxruntime-gpu"), "onnxruntime-gpu"),
        (("onnxruntime-openvino", "onnxruntime-gpu"), "onnxruntime-openvino"),
    ],
)
def test_the_wheel_that_no_dependency_asks_for_is_the_one_that_is_wanted(names, wanted):
    assert f"then pip install {wanted}" in wheels_fault(tuple(map(wheel, names)))


def test_on_a_jetson_the_vendors_wheel_comes_back(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    fault = wheels_fault((wheel(), wheel("onnxruntime-gpu", "1.23.0")))
    assert "pip install onnxruntime-gpu, on a Jetson the vendor's wheel file" in fault


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("", "has no attribute 'InferenceSession'"),
        ("import onnxruntime.capi", "No module named 'onnxruntime.capi'"),
    ],
)
def test_an_onnxruntime_that_can_t_be_imported_is_one_line_with_the_cure(tmp_path, module, said):
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(module)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['wnet-edge', 'doctor']\n"
        "from wnet_edge.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: onnxruntime can't be used (")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "pip install onnxruntime" in done.stderr


def test_an_onnxruntime_that_can_be_imported_is_no_fault():
    assert import_fault() is None
