"""A package compiled for this device: the same patches here, and none anywhere else."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from signing import write_keys
from tiny import content

from wnet_edge.embedded import find_package
from wnet_edge.errors import ExportError, PackageError, ProviderError
from wnet_edge.export.compiled import compile_package
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import write_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.compiled_here import mark_compiled
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.measuring.golden_check import check_golden

CPU = RunnerOptions(provider=Provider.CPU, threads=1)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    output = tmp_path_factory.mktemp("compiled") / "w3.ort.wnet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(output.parent))
        return compile_package(open_package(find_package("w3")), output, force=False)


@pytest.fixture(autouse=True)
def made_here(compiled):
    """Marked in each test's own cache."""
    for graph in compiled.graphs.values():
        mark_compiled(graph)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.INT8])
def test_patches_are_those_of_the_portable_package(compiled, precision):
    options = dataclasses.replace(CPU, precision=precision)
    portable = open_package(find_package("w3"))
    counts = portable.golden.counts
    expected = open_best_graph(portable, options).graph.run_all(counts)
    got = open_best_graph(compiled, options).graph.run_all(counts)
    np.testing.assert_array_equal(got, expected)
    assert check_golden(compiled, options).passed


def test_it_reads_back_and_says_what_it_was_made_for(compiled):
    again = open_package(compiled.path)
    portable = open_package(find_package("w3"))
    assert again.sha256 == compiled.sha256
    assert again.manifest.compiled.source_sha256 == portable.sha256
    assert again.manifest.compiled.provider == "cpu"
    assert again.manifest.self_check == portable.manifest.self_check


def test_same_device_same_bytes(compiled, tmp_path):
    portable = open_package(find_package("w3"))
    other = compile_package(portable, tmp_path / "w3.ort.wnet", force=False)
    assert other.sha256 == compiled.sha256


@pytest.mark.parametrize(
    ("key", "value"), [("processor", "a processor (AVX2)"), ("onnxruntime", "1.20.0")]
)
def test_it_is_refused_elsewhere(compiled, key, value):
    made_for = dataclasses.replace(compiled.manifest.compiled, **{key: value})
    elsewhere = dataclasses.replace(
        compiled, manifest=dataclasses.replace(compiled.manifest, compiled=made_for)
    )
    with pytest.raises(PackageError, match=r"is compiled for .*export --package FILE --target ort"):
        open_best_graph(elsewhere, CPU)


def test_it_is_refused_on_another_provider(compiled, nvidia):
    nvidia(card=True, driver=True)
    with pytest.raises(ProviderError, match=r"cuda can't be had \(.* is compiled for cpu\)"):
        open_best_graph(compiled, RunnerOptions(provider=Provider.CUDA))


def test_one_for_a_card_that_is_not_there_is_an_error(compiled):
    made_for = dataclasses.replace(compiled.manifest.compiled, provider="cuda")
    elsewhere = dataclasses.replace(
        compiled, manifest=dataclasses.replace(compiled.manifest, compiled=made_for)
    )
    with pytest.raises(ProviderError, match=r"nothing runs it here: .* is compiled for cuda\)$"):
        open_best_graph(elsewhere, RunnerOptions())


def test_it_is_run_only_where_it_was_made_or_for_a_trusted_key(call, tmp_path, monkeypatch):
    # What ONNX Runtime makes of a graph can't be checked: a forged one would do whatever it likes.
    monkeypatch.chdir(tmp_path)
    source, compiled = Path("t.wnet"), Path("t.ort.wnet")
    write_package(source, content())
    key, public = write_keys(tmp_path, "key", 1)
    made = ("export", "--package", source, "--target", "ort", "--sign", key)
    assert call(*made)[0] == 0
    verify = ("verify", compiled, "--provider", "cpu")
    assert call(*verify)[0] == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user's"))
    code, _, err = call(*verify)
    assert code == 1
    assert f"{compiled}: was not compiled by you on this machine" in err
    assert "wnet-edge export --package FILE --target ort, or name the key" in err
    assert call(*verify, "--trust", public)[0] == 0
    assert call("inspect", compiled)[0] == 0


def test_it_is_not_compiled_twice(compiled, tmp_path):
    with pytest.raises(ExportError, match="is compiled already; name the package it was made from"):
        compile_package(compiled, tmp_path / "twice.wnet", force=False)


def test_a_package_that_computes_otherwise_here_is_not_compiled(tmp_path):
    source = content()
    amplitude, phase = source.golden.outputs[Precision.FP32]
    golden = dataclasses.replace(
        source.golden, outputs={Precision.FP32: (amplitude, (phase + 1).astype(np.float32))}
    )
    package = write_package(tmp_path / "t.wnet", dataclasses.replace(source, golden=golden))
    with pytest.raises(ExportError, match=r"fp32 is wrong: it gives other patches .* off by 1 rad"):
        compile_package(package, tmp_path / "t.ort.wnet", force=False)
    assert not (tmp_path / "t.ort.wnet").exists()


def test_command(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_package(tmp_path / "tiny.wnet", content())
    code, out, _ = call("export", "--package", "tiny.wnet", "--target", "ort")
    assert code == 0
    assert out.startswith("tiny.ort.wnet: compiled for cpu by ONNX Runtime")
    code, _, err = call("export", "--package", "tiny.wnet", "--target", "ort")
    assert code == 1
    assert "tiny.ort.wnet: exists already" in err
    code, out, _ = call("verify", "tiny.ort.wnet", "--provider", "cpu")
    assert code == 0
    code, _, err = call("export", "--package", "tiny.wnet", "--target", "ort", "--report", "r.json")
    assert code == 2
    assert "--report is for new graphs" in err
