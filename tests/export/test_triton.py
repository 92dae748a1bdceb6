"""The Triton repository: a config that Triton's own format takes, graphs that do what it says."""

import os

import numpy as np
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tiny import content, simple_graph

from wnet_edge.errors import PackageError
from wnet_edge.export.triton import config, write_repository
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.packing import Graph, write_package

STRING, INT32, INT64, UINT64, MESSAGE, ENUM = 9, 5, 3, 4, 11, 14
FIELDS = {
    "ModelTensor": [("name", 1, STRING), ("data_type", 2, "DataType"), ("dims", 4, [INT64])],
    "Batching": [
        ("preferred_batch_size", 1, [INT32]),
        ("max_queue_delay_microseconds", 2, UINT64),
    ],
    "Instances": [("name", 1, STRING), ("count", 2, INT32), ("kind", 4, "Kind")],
    "ModelConfig": [
        ("name", 1, STRING),
        ("platform", 2, STRING),
        ("max_batch_size", 4, INT32),
        ("input", 5, ["ModelTensor"]),
        ("output", 6, ["ModelTensor"]),
        ("instance_group", 7, ["Instances"]),
        ("dynamic_batching", 11, "Batching"),
    ],
}
ENUMS = {
    "DataType": {"TYPE_INVALID": 0, "TYPE_FP32": 11},
    "Kind": {"KIND_AUTO": 0, "KIND_GPU": 1, "KIND_CPU": 2},
}


@pytest.fixture(scope="module")
def model_config():
    """The part of Triton's ModelConfig (model_config.proto) that is of use here."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kinds in fields:
            repeated = isinstance(kinds, list)
            kind = kinds[0] if repeated else kinds
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            added.type = kind if isinstance(kind, int) else ENUM if kind in ENUMS else MESSAGE
            if isinstance(kind, str):
                added.type_name = f".t.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelConfig"))


def packed(path, *, batch=None, kinds=(Precision.FP32,)):
    """A package of the tiny graph in these precisions."""
    source = content()
    outputs = source.golden.outputs[Precision.FP32]
    graph = Graph(simple_graph(8, batch or "batch"), 17)
    return write_package(
        path,
        content(
            graphs=dict.fromkeys(kinds, graph),
            golden=GoldenFrames(source.golden.counts, dict.fromkeys(kinds, outputs)),
            tolerance=dict.fromkeys(kinds, Tolerance(1.0, 1.0, 1.0)),
            batch_size=batch,
        ),
    )


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("batch", [None, 4])
def test_what_is_laid_out_is_what_triton_reads(tmp_path, model_config, batch):
    package = packed(tmp_path / "w9.wnet", batch=batch)
    repository = tmp_path / "models"
    assert write_repository(package, repository, force=False) == [repository / "w9-fp32"]
    assert files(repository) == ["w9-fp32/1/model.onnx", "w9-fp32/config.pbtxt"]
    text = (repository / "w9-fp32" / "config.pbtxt").read_text("utf-8")
    read = text_format.Parse(text, model_config())
    # The folder's name, or Triton refuses it.
    assert (read.name, read.platform) == ("w9-fp32", "onnxruntime_onnx")
    session = onnxruntime.InferenceSession(repository / "w9-fp32" / "1" / "model.onnx")
    ports = {port.name: port for port in (*session.get_inputs(), *session.get_outputs())}
    assert [tensor.name for tensor in read.input] == ["counts"]
    assert [tensor.name for tensor in read.output] == ["amplitude", "phase"]
    for tensor in (*read.input, *read.output):
        # Triton puts a free dimension in front where it batches (max_batch_size > 0).
        shape = [-1, *tensor.dims] if read.max_batch_size else list(tensor.dims)
        declared = [n if isinstance(n, int) else -1 for n in ports[tensor.name].shape]
        assert shape == declared
        assert tensor.data_type == ENUMS["DataType"]["TYPE_FP32"]
    assert read.HasField("dynamic_batching") == (batch is None)
    assert [group.count for group in read.instance_group] == [1]
    counts = np.ones((batch or 3, 1, 8, 8), np.float32)
    assert session.run(["amplitude"], {"counts": counts})[0].shape == counts.shape


def test_every_precision_is_a_model(tmp_path, model_config):
    package = packed(tmp_path / "w9.wnet", kinds=tuple(Precision))
    folders = write_repository(package, tmp_path, force=False)
    assert [folder.name for folder in folders] == [f"w9-{kind.value}" for kind in Precision]
    for kind in Precision:
        text = config("x", kind, package.manifest)
        (group,) = text_format.Parse(text, model_config()).instance_group
        on_processor = kind in (Precision.INT8_U8U8, Precision.INT8_U8S8)
        assert group.kind == ENUMS["Kind"]["KIND_CPU" if on_processor else "KIND_AUTO"]


def test_models_are_replaced_with_force_only(tmp_path):
    package = packed(tmp_path / "w9.wnet", kinds=(Precision.FP32, Precision.INT8))
    repository = tmp_path / "models"
    for theirs in ("w9-int8/7/old", "other-fp32/1/model.onnx"):
        (repository / theirs).parent.mkdir(parents=True)
        (repository / theirs).write_text("theirs")
    before = files(repository)
    with pytest.raises(PackageError, match=r"w9-int8: exists already; replace it with --force"):
        write_repository(package, repository, force=False)
    assert files(repository) == before
    write_repository(package, repository, force=True)
    written = [f"w9-{kind}/{file}" for kind in ("fp32", "int8")
               for file in ("1/model.onnx", "config.pbtxt")]  # fmt: skip
    assert files(repository) == ["other-fp32/1/model.onnx", *written]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_repository_is_written_whole_or_not_at_all(tmp_path, monkeypatch, moved):
    package = packed(tmp_path / "w9.wnet", kinds=(Precision.FP32, Precision.INT8))
    repository, real, done = tmp_path / "models", os.rename, []
    (repository / "w9-int8").mkdir(parents=True)
    (repository / "w9-int8" / "old").write_text("old")

    def interrupted(self, target):
        if len(done) == moved:
            done.append(None)
            raise KeyboardInterrupt
        done.append(None)
        real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_repository(package, repository, force=True)
    assert files(repository) == ["w9-int8/old"]
    assert sorted(path.name for path in repository.iterdir()) == ["w9-int8"]


@pytest.mark.parametrize(
    ("name", "folder", "match"),
    [
        ("w9", "gone/models", "no folder .*; create it first"),
        ("w9", "w9.wnet", "is not a folder; name another"),
        ("a b", "models", "Triton serves models by name in a URL"),
        ('a"', "models", "Triton serves models by name in a URL"),
    ],
)
def test_what_can_not_be_laid_out_is_told(tmp_path, name, folder, match):
    package = packed(tmp_path / f"{name}.wnet")
    with pytest.raises(PackageError, match=match):
        write_repository(package, tmp_path / folder, force=True)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.wnet"]


def test_the_disk_s_refusal_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    package = packed(tmp_path / "w9.wnet")
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(PackageError, match=r"models: can't be written \(No space left"):
        write_repository(package, tmp_path / "models", force=False)
    assert not (tmp_path / "models").exists()
