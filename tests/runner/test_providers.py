"""What ONNX Runtime has here, what one provider lacks, and what is prepared for a card."""

import numpy as np
import pytest
from tiny import content, simple_graph

from wnet_edge.package.manifest import Precision
from wnet_edge.package.packing import write_package
from wnet_edge.runner.graph.device import Device, this_device
from wnet_edge.runner.graph.device_buffers import DeviceBuffers
from wnet_edge.runner.graph.golden import check_golden_patches
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import (
    Provider,
    missing_library,
    offered,
    unavailable_reason,
)
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.graph.tensorrt import engine_folder, tensorrt_options

DEVICE = Device("Linux x86_64", "a processor", 8, "a card, 570.1", "1.30.0", ("cpu", "cuda"))


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "tiny.wnet", content())


def test_the_processor_is_always_offered_and_lacks_nothing():
    assert Provider.CPU in offered()
    assert unavailable_reason(Provider.CPU) is None


def test_what_is_not_in_the_wheel_says_which_wheel_has_it():
    assert Provider.OPENVINO not in offered()
    assert unavailable_reason(Provider.OPENVINO).endswith(
        "has no openvino: pip install onnxruntime-openvino in place of the one that is installed"
    )
    assert unavailable_reason(Provider.COREML) == "this onnxruntime has no coreml"


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_without_a_driver_no_library_is_looked_for(provider, nvidia):
    nvidia(card=False, driver=False)
    assert unavailable_reason(provider).startswith("no NVIDIA driver here")
    assert ".so" in missing_library(provider)


def test_a_device_is_told_from_another():
    same = this_device()
    assert same.key == this_device().key != DEVICE.key
    assert len(same.key) == 12
    assert same.cores >= 1
    assert "cpu" in same.providers


def test_buffers_give_what_the_session_gives(package):
    session = OpenGraph(package, RunSettings(Precision.FP32, Provider.CPU)).session
    buffers = DeviceBuffers(session, (3, 1, 8, 8), "cpu")
    batches = np.random.default_rng(0).normal(size=(4, 3, 1, 8, 8)).astype(np.float32)
    got = [buffers.run(counts) for counts in batches]
    # Compared after all runs: patches that are handed out belong to whoever took them.
    for counts, patches in zip(batches, got, strict=True):
        expected = session.run(["amplitude", "phase"], {"counts": counts})
        np.testing.assert_array_equal(patches, expected)
    with pytest.raises(ValueError, match=r"counts are \(2, 1, 8, 8\), the buffers \(3, 1, 8, 8\)"):
        buffers.run(batches[0][:2])


def test_a_graph_on_a_card_runs_through_buffers_but_for_odd_batches(package, nvidia):
    nvidia(card=True, driver=True)
    graph = OpenGraph(package, RunSettings(Precision.FP32, Provider.CUDA, batch_size=4))
    counts = np.random.default_rng(1).normal(size=(10, 1, 8, 8)).astype(np.float32)
    amplitude, phase = graph.run_all(counts)
    np.testing.assert_array_equal(amplitude, np.maximum(counts, 0))
    np.testing.assert_allclose(phase, np.tanh(counts), rtol=1e-5)


def test_tensorrt_is_set_up_for_the_graph(package, tmp_path):
    half = tensorrt_options(
        package, RunSettings(Precision.FP16, Provider.TENSORRT, 0, 16), tmp_path
    )
    assert (half["trt_fp16_enable"], half["trt_int8_enable"]) == ("True", "False")
    assert half["trt_engine_cache_path"] == str(tmp_path)
    assert half["trt_profile_min_shapes"] == "counts:1x1x8x8"
    assert half["trt_profile_opt_shapes"] == half["trt_profile_max_shapes"] == "counts:16x1x8x8"
    small = tensorrt_options(package, RunSettings(Precision.INT8, Provider.TENSORRT), tmp_path)
    assert (small["trt_fp16_enable"], small["trt_int8_enable"]) == ("False", "True")
    assert small["trt_engine_cache_prefix"] == "int8"
    # ONNX Runtime takes a provider's options as text.
    assert all(type(value) is str for value in half.values())


def test_a_fixed_batch_has_one_engine_shape(tmp_path):
    source = content(simple_graph(8, batch=4), batch_size=4)
    package = write_package(tmp_path / "fixed.wnet", source)
    options = tensorrt_options(package, RunSettings(Precision.FP32, Provider.TENSORRT), tmp_path)
    shapes = {options[f"trt_profile_{name}_shapes"] for name in ("min", "opt", "max")}
    assert shapes == {"counts:4x1x8x8"}


def test_engines_are_kept_apart(package, tmp_path):
    other = write_package(tmp_path / "other.wnet", content(object_pixel_size_m=2e-8))
    newer = Device(*{**vars(DEVICE), "onnxruntime": "1.31.0"}.values())
    folders = {
        engine_folder(package, DEVICE, tmp_path),
        engine_folder(other, DEVICE, tmp_path),
        engine_folder(package, newer, tmp_path),
    }
    assert len(folders) == 3
    assert engine_folder(package, DEVICE, tmp_path) in folders


@pytest.mark.gpu
def test_tensorrt_gives_the_golden_outputs(package):
    if unavailable_reason(Provider.TENSORRT) is not None:
        pytest.skip("this machine has no TensorRT")
    graph = OpenGraph(package, RunSettings(Precision.FP32, Provider.TENSORRT))
    check_golden_patches(package, graph)
