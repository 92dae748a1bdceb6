"""What `wnet-edge doctor` says of a machine, and what it makes of one where something is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import content

from wnet_edge.errors import ProviderError
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.runner.choosing.tune_record import TimedSettings, TuneRecord, room_for, write_record
from wnet_edge.runner.doctor import checkup as checkup_module
from wnet_edge.runner.doctor import installation
from wnet_edge.runner.doctor.checkup import check_up
from wnet_edge.runner.doctor.installation import EXTRAS, cache_state
from wnet_edge.runner.doctor.wheels import Wheel
from wnet_edge.runner.graph import device as device_module
from wnet_edge.runner.graph import providers
from wnet_edge.runner.graph.device import cpu_quota_cores, has_nvidia_card, this_device
from wnet_edge.runner.graph.providers import Provider, missing_library
from wnet_edge.runner.graph.run_settings import RunSettings

ROOT = Path(__file__).parents[2]
HERE = Path("/site-packages")


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "tiny.wnet", content())


def wheel(name="onnxruntime", version="1.31.1", folder=HERE, lost_files=0):
    return Wheel(name, version, folder, lost_files)


def test_a_machine_without_a_card_is_well(call, nvidia):
    nvidia(card=False, driver=False)
    code, out, err = call("doctor")
    assert (code, err) == (0, "")
    assert "  ok       cpu           fp32 correct, fp16 correct, int8 correct" in out
    cuda = out[out.index("  missing  cuda") : out.index("  missing  tensorrt")]
    assert "no NVIDIA driver here: libcuda.so.1 can't be loaded" in cuda
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in cuda
    assert "  ok       auto          fp32 on cpu" in out
    assert out.endswith("\n\nNothing to do.\n")
    assert max(map(len, out.splitlines())) <= 100


def test_json_is_one_object_on_the_last_line(call, package, own_cache):
    code, out, _ = call("doctor", "--package", package.path, "--json")
    values = json.loads(out.splitlines()[-1])
    assert code == 0
    assert set(values) == {
        *("passed", "to_do", "versions", "device", "int8_instructions", "quota_cores"),
        *("nvidia_card", "wheels", "package", "providers", "auto", "tune", "cache", "extras"),
    }
    assert values["passed"] is True
    assert {"wnet-edge", "Python", "onnxruntime", "numpy", "h5py", "hdf5plugin"} == set(
        values["versions"]
    )
    assert {one["provider"] for one in values["providers"]} == {*Provider} - {"auto"}
    cpu = values["providers"][0]
    assert cpu["provider"] == "cpu"
    assert (cpu["offered"], cpu["works"], cpu["fault"], cpu["cure"]) == (True, True, None, None)
    assert [one["precision"] for one in cpu["precisions"]] == [
        kind.value for kind in package.graphs
    ]
    assert all(one["works"] and one["phase_rms_rad"] < 1e-3 for one in cpu["precisions"])
    absent = next(one for one in values["providers"] if not one["offered"])
    assert absent["works"] is False
    assert absent["fault"].startswith("this onnxruntime has no ")
    assert (values["auto"]["works"], values["auto"]["fault"]) == (True, None)
    assert values["tune"] == {"measured": False, "ms_per_frame": None, "fault": None}
    assert values["cache"]["folder"] == str(own_cache / "wnet-edge")
    assert values["package"]["sha256"] == package.sha256


def test_nothing_is_written(call, package, own_cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert call("doctor", "--package", package.path)[0] == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert not any(own_cache.iterdir())


def test_a_package_that_is_not_there_is_an_error(call):
    code, out, err = call("doctor", "--package", "nowhere.wnet")
    assert (code, out) == (1, "")
    assert err.startswith("Error: nowhere.wnet")


def test_what_was_measured_is_told(call, package):
    run_settings = RunSettings(Precision.FP32, Provider.CPU, 1, 8)
    path = room_for(package)
    write_record(
        TuneRecord(package.sha256, this_device(), 0.1, (TimedSettings(run_settings, 0.25),)), path
    )
    code, out, _ = call("doctor", "--package", package.path, "--json")
    values = json.loads(out)
    assert code == 0
    assert values["tune"] == {"measured": True, "ms_per_frame": 0.25, "fault": None}
    assert (values["auto"]["threads"], values["auto"]["batch_size"]) == (1, 8)
    assert values["cache"]["size_bytes"] == path.stat().st_size


def test_a_damaged_record_is_told_and_does_no_harm(call, package):
    run_settings = RunSettings(Precision.FP32, Provider.CPU, 1, 8)
    path = room_for(package)
    write_record(
        TuneRecord(package.sha256, this_device(), 0.1, (TimedSettings(run_settings, 0.25),)), path
    )
    path.write_bytes(b"{")
    code, out, _ = call("doctor", "--package", package.path)
    assert code == 0
    assert "  problem  tune" in out
    told = " ".join(out[out.index("What to do:") :].split())
    assert str(path) in told
    assert "run wnet-edge tune again or delete it" in told


def test_a_precision_that_is_computed_wrongly_is_told(call, tmp_path):
    source = content()
    graph, (amplitude, phase) = source.graphs[Precision.FP32], source.golden.outputs[Precision.FP32]
    outputs = {Precision.FP32: (amplitude, phase), Precision.INT8: (amplitude, phase + 1)}
    tolerance = dict.fromkeys(outputs, source.tolerance[Precision.FP32])
    path = tmp_path / "wrong.wnet"
    write_package(
        path,
        replace(
            source,
            graphs=dict.fromkeys(outputs, graph),
            golden=GoldenFrames(source.golden.counts, outputs),
            tolerance=tolerance,
        ),
    )
    code, out, _ = call("doctor", "--package", path)
    assert code == 0
    assert "  problem  cpu           fp32 correct, int8 wrong" in out
    assert "1. int8 on cpu: it gives other patches than it should, off by 1 rad" in out


def test_it_fails_where_auto_does(call, package, monkeypatch):
    def refuse(*_):
        raise ProviderError("it gives other patches than it should, off by 1 rad")

    monkeypatch.setattr(checkup_module, "check_golden_patches", refuse)
    code, out, err = call("doctor", "--package", package.path, "--json")
    assert code == 1
    values = json.loads(out.splitlines()[-1])
    assert (values["passed"], values["auto"]["works"]) == (False, False)
    assert err == (
        f"Error: {package.path} can't be run here: it gives other patches than it should, off by "
        "1 rad\n"
    )


def test_two_wheels_are_an_error_with_the_cure(call, package, monkeypatch):
    both = (wheel(lost_files=0), wheel("onnxruntime-gpu", lost_files=7))
    monkeypatch.setattr(checkup_module, "installed_wheels", lambda: both)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    code, out, err = call("doctor", "--package", package.path)
    assert code == 1
    assert "  problem  onnxruntime" in out
    assert err == (
        "Error: onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 overwrite each other's files (those "
        "of onnxruntime lie there now): pip uninstall -y onnxruntime onnxruntime-gpu, then pip "
        "install onnxruntime-gpu; from then on update wnet-edge with --no-deps, or it brings the "
        "other one back\n"
    )


def test_a_module_of_another_version_than_its_wheel_is_told(package, monkeypatch):
    other = (wheel(version="1.20.0+nv24", lost_files=None),)
    monkeypatch.setattr(checkup_module, "installed_wheels", lambda: other)
    found = check_up(package, print)
    assert "its files are another's" in found.wheel_fault
    assert found.fault is None
    built = replace(found, wheels=())  # from source: pip knows nothing of it
    assert built.wheel_fault is None


def test_a_quota_below_the_cores_is_told(call, package, monkeypatch):
    monkeypatch.setattr(checkup_module, "cpu_quota_cores", lambda: 0.5)
    code, out, _ = call("doctor", "--package", package.path)
    assert code == 0
    assert "  problem  cores" in out
    assert "--threads 1" in out[out.index("What to do:") :]


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({}, None),
        ({"": "max 100000"}, None),
        ({"": "150000 100000"}, 1.5),
        ({"": "max 100000", "a": "400000 100000", "a/b": "200000 100000"}, 2.0),
    ],
)
def test_the_smallest_quota_of_the_control_groups_counts(tmp_path, monkeypatch, quotas, cores):
    own = tmp_path / "own"
    own.write_text("1:cpu:/other\n0::/a/b\n")
    groups = tmp_path / "groups"
    (groups / "a" / "b").mkdir(parents=True)
    for name, quota in quotas.items():
        (groups / name / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(device_module, "_OWN_GROUP", own)
    monkeypatch.setattr(device_module, "_GROUPS", groups)
    assert cpu_quota_cores() == cores


@pytest.mark.parametrize(
    ("vendor", "kind", "card"),
    [("0x10de", "0x030200", True), ("0x10de", "0x040300", False), ("0x1002", "0x030000", False)],
)
def test_a_card_is_seen_without_its_driver(tmp_path, monkeypatch, vendor, kind, card):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "vendor").write_text(vendor + "\n")
    (tmp_path / "0000:01:00.0" / "class").write_text(kind + "\n")
    monkeypatch.setattr(device_module, "_PCI_DEVICES", tmp_path)
    monkeypatch.setattr(device_module, "_BOARD", tmp_path / "none")
    assert has_nvidia_card() is card


def test_a_card_that_lies_idle_is_something_to_do(call, package, nvidia):
    nvidia(card=True, driver=False)
    code, out, _ = call("doctor", "--package", package.path)
    assert code == 0
    assert "  problem  GPU           NVIDIA, without a driver" in out
    told = " ".join(out[out.index("What to do:") :].split())
    assert "1. there is an NVIDIA GPU, but cuda is unavailable: no NVIDIA driver here" in told
    assert "install an NVIDIA driver" in told


def test_tensorrt_says_that_it_takes_long(package, nvidia):
    nvidia(card=True, driver=True)
    said = []
    found = check_up(package, said.append)
    assert said == [
        "tensorrt builds an engine for each precision, which may take minutes, and keeps it"
    ]
    working = {state.provider for state in found.providers if state.fault is None}
    assert working == {Provider.CPU, Provider.CUDA, Provider.TENSORRT}


def test_a_cache_that_can_t_be_written_or_is_full_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(installation, "cache_folder", lambda: tmp_path / "file" / "wnet-edge")
    assert "can't be written; set XDG_CACHE_HOME" in cache_state().fault
    monkeypatch.setattr(installation, "cache_folder", lambda: tmp_path / "none")
    state = cache_state()
    assert state.size_bytes == 0
    assert "1 MB left on its disk" in replace(state, free_bytes=1 << 20).fault


def test_extras_are_those_of_the_project():
    tomllib = pytest.importorskip("tomllib")  # it came with Python 3.11
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    modules = {"dectris-compression": "dectris", "pyzmq": "zmq"}
    for extra in EXTRAS:
        names = [one.partition(">")[0] for one in declared[extra.name]]
        assert sorted(extra.modules) == sorted(modules.get(name, name) for name in names)
    assert {extra.name for extra in EXTRAS} == set(declared) - {"dev"}


def test_a_missing_extra_says_how_to_get_it(call, package, monkeypatch):
    found = installation.find_spec
    monkeypatch.setattr(
        installation, "find_spec", lambda name: None if name == "tifffile" else found(name)
    )
    _, out, _ = call("doctor", "--package", package.path)
    line = " ".join(out[out.index("  missing  tiff ") : out.index("sign")].split())
    assert "tifffile for scans in TIFF" in line
    assert "pip install 'wnet-edge[tiff]'" in line


def test_pips_tensorrt_is_loaded_before_it_is_asked_for(tmp_path, monkeypatch):
    libraries = tmp_path / "tensorrt_libs"
    libraries.mkdir()
    (libraries / "__init__.py").write_text("raise AssertionError('it is not to be imported')")
    for name in ("libnvonnxparser.so.10", "libnvinfer.so.10", "libnvinfer_lean.so.10"):
        (libraries / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []
    monkeypatch.setattr(providers.ctypes, "CDLL", lambda path, **_: loaded.append(Path(path).name))
    assert missing_library(Provider.CUDA) is None
    assert not any("nvinfer" in name for name in loaded)
    loaded.clear()
    assert missing_library(Provider.TENSORRT) is None
    ours = [name for name in loaded if name.startswith(("libnvinfer", "libnvonnx"))]
    assert ours == ["libnvinfer.so.10", "libnvonnxparser.so.10"]


def test_the_package_is_the_embedded_one_unless_named(call):
    values = json.loads(call("doctor", "--json")[1].splitlines()[-1])
    embedded = open_package(Path(values["package"]["path"]))
    assert embedded.path.name == "w3.wnet"
