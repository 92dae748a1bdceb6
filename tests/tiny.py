"""Small graphs, packages and scans that tests make for themselves."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance, Training
from wnet_edge.package.packing import Graph, PackageContent
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames

GEOMETRY = Geometry(energy_ev=10_000.0, distance_m=0.9, detector_pixel_size_m=55e-6)


def onnx_bytes(nodes, window_px, initializers=(), inputs=("counts",), outputs=None, batch="batch"):
    """An ONNX model with float32 (batch, 1, window, window) inputs and outputs."""
    shape = [batch, 1, window_px, window_px]

    def ports(names):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]

    graph = helper.make_graph(
        nodes, "tiny", ports(inputs), ports(outputs or ("amplitude", "phase")), list(initializers)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 8
    return model.SerializeToString()


def simple_graph(window_px, batch="batch"):
    """Amplitude = relu(counts), phase = tanh(counts)."""
    nodes = [
        helper.make_node("Relu", ["counts"], ["amplitude"]),
        helper.make_node("Tanh", ["counts"], ["phase"]),
    ]
    return onnx_bytes(nodes, window_px, batch=batch)


def weights_in(location):
    """An (8, 8) float32 tensor that lies in the file `location`."""
    weights = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[8, 8])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "256")):
        weights.external_data.add(key=key, value=value)
    return weights


def graph_with_weights_in(location):
    """Amplitude = counts + weights in the file `location`, phase = relu(counts); 8 px."""
    nodes = [
        helper.make_node("Add", ["counts", "W"], ["amplitude"]),
        helper.make_node("Relu", ["counts"], ["phase"]),
    ]
    return onnx_bytes(nodes, 8, [weights_in(location)])


def oracle_graph(amplitude, phase, batch="batch"):
    """Looks patches (N, h, h) up by the number that the frame holds in its first pixel.

    Of export's operators: (number ≥ k − ½) − (number ≥ k + ½) is 1 for patch k alone.
    """
    known, edge = len(amplitude), amplitude.shape[-1]
    nodes = [
        helper.make_node("Slice", ["counts", "corner", "next", "pixels", "steps"], ["number"]),
        helper.make_node("GreaterOrEqual", ["number", "halves"], ["reached"]),
        helper.make_node("Cast", ["reached"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["one", "first", "last", "patches", "step"], ["from"]),
        helper.make_node("Slice", ["one", "second", "end", "patches", "step"], ["to"]),
        helper.make_node("Sub", ["from", "to"], ["which"]),
        helper.make_node("MatMul", ["which", "A"], ["a"]),
        helper.make_node("MatMul", ["which", "P"], ["p"]),
        helper.make_node("Reshape", ["a", "window"], ["amplitude"]),
        helper.make_node("Reshape", ["p", "window"], ["phase"]),
    ]
    integers = {
        **{"corner": [0, 0], "next": [1, 1], "pixels": [2, 3], "steps": [1, 1]},
        **{"first": [0], "second": [1], "last": [known], "end": [known + 1], "patches": [3]},
        **{"step": [1], "window": [-1, 1, edge, edge]},
    }
    constants = {
        **{name: np.array(values, np.int64) for name, values in integers.items()},
        "halves": np.arange(known + 1, dtype=np.float32) - 0.5,
        "A": amplitude.reshape(known, -1).astype(np.float32),
        "P": phase.reshape(known, -1).astype(np.float32),
    }
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return onnx_bytes(nodes, edge, initializers, batch=batch)


def gaussian_probe(full_px, incident=1e5, modes=1):
    """(modes, full, full) complex64 whose power is `incident` counts."""
    y, x = np.indices((full_px, full_px)) - full_px // 2
    one = np.exp(-(y**2 + x**2) / (2 * (full_px / 8) ** 2))
    probe = np.stack([one * 0.5**k for k in range(modes)]).astype(np.complex64)
    return probe * np.float32(np.sqrt(incident / np.sum(np.abs(probe) ** 2)))


def content(graph=None, window_px=8, binning=2, **changes):
    """A package's content around `graph`, its golden outputs those of `simple_graph`."""
    frame_px = window_px * binning
    rng = np.random.default_rng(1)
    counts = rng.poisson(1.0, (2, 1, window_px, window_px)).astype(np.float32)
    outputs = (np.maximum(counts, 0), np.tanh(counts))
    values = {
        "model": "tiny",
        "parameter_count": 0,
        "window_px": window_px,
        "binning": binning,
        "object_pixel_size_m": GEOMETRY.object_pixel_size_m(frame_px),
        "probe": gaussian_probe(frame_px),
        "graphs": {Precision.FP32: Graph(graph or simple_graph(window_px), opset=20)},
        "golden": GoldenFrames(counts, {Precision.FP32: outputs}),
        "tolerance": {Precision.FP32: Tolerance(1e-5, 1e-5, 1e-5)},
        "training": Training("none", 0, "0" * 64, 0, 0, None, {"lr": 1e-3, "why": None}),
        "versions": {"wnet-edge": "0"},
        "created": "2024-05-01T12:00:00Z",
    }
    return PackageContent(**(values | changes))


def several_precisions(*kinds):
    """Content whose every precision is the same graph, with the same golden outputs."""
    source = content()
    graph, outputs = source.graphs[Precision.FP32], source.golden.outputs[Precision.FP32]
    return replace(
        source,
        graphs=dict.fromkeys(kinds, graph),
        golden=GoldenFrames(source.golden.counts, dict.fromkeys(kinds, outputs)),
        tolerance=dict.fromkeys(kinds, Tolerance(1e-5, 1e-5, 1e-5)),
    )


@dataclass(frozen=True)
class KnownScan:
    """A scan of a known object: its frames name their patches, their totals are right.

    The graph is the oracle that knows the patches, up to a random phase each.
    """

    full_px: int = 32
    binning: int = 2
    count: int = 36
    incident: float = 1e5
    object_: np.ndarray = field(init=False)
    corners: np.ndarray = field(init=False)
    patches: np.ndarray = field(init=False)
    frames: np.ndarray = field(init=False)
    phase: np.ndarray = field(init=False)
    amplitude: np.ndarray = field(init=False)
    probe: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(3)
        side = int(np.sqrt(self.count))
        edge = 4 * (side - 1) + self.full_px
        y, x = np.indices((edge, edge)) / edge
        phase = 0.8 * np.sin(7 * x) * np.cos(5 * y)
        object_ = ((0.7 + 0.2 * np.sin(9 * y)) * np.exp(1j * phase)).astype(np.complex64)
        rows, columns = np.divmod(np.arange(self.count), side)
        corners = 4 * np.stack([rows, columns], axis=1)
        window = self.full_px // self.binning
        start = self.full_px // 2 - window // 2
        patches = np.stack([object_[r:, c:][start:, start:][:window, :window] for r, c in corners])
        scale = rng.uniform(0.6, 0.9, self.count).astype(np.float32)
        turned = patches * np.exp(1j * rng.uniform(-np.pi, np.pi, self.count))[:, None, None]
        # Not one pixel but a few of each: a bright pixel alone would be hot.
        frames = np.zeros((self.count, self.full_px, self.full_px), np.uint32)
        frames[:, :2, :2] = np.arange(self.count)[:, None, None]
        beam = slice(self.full_px // 2 - 1, self.full_px // 2 + 2)
        total = np.round(scale**2 * self.incident).astype(np.int64) - 4 * np.arange(self.count)
        frames[:, beam, beam] = (total // 9)[:, None, None]
        frames[:, self.full_px // 2, self.full_px // 2] += (total % 9).astype(np.uint32)
        values = {
            "object_": object_,
            "corners": corners,
            "patches": patches,
            "frames": frames,
            "phase": np.angle(turned),
            "amplitude": np.abs(turned) / scale[:, None, None],
            "probe": gaussian_probe(self.full_px, self.incident, modes=2),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def window_px(self):
        return self.full_px // self.binning

    def content(self, **changes):
        """The package that knows this scan."""
        graph = oracle_graph(self.amplitude, self.phase, changes.get("batch_size") or "batch")
        return content(graph, self.window_px, self.binning, probe=self.probe, **changes)

    def write(self, path: Path, *, binned: bool = False, frames=None, **changes):
        """The scan as CXI; `binned` stores frames summed as the network wants them."""
        frames = self.frames if frames is None else frames
        if binned:
            frames = bin_frames(frames.astype(np.float32), self.binning).astype(np.uint32)
        header = {
            "geometry": GEOMETRY,
            "positions_m": self.corners * GEOMETRY.object_pixel_size_m(self.full_px),
            "frame_px": frames.shape[-1],
            "frame_dtype": frames.dtype,
            "probe": self.probe,
            "binning": self.binning if binned else 1,
            "title": "known",
        }
        batches = [LabelledFrames(frames[:10]), LabelledFrames(frames[10:])]
        write_cxi(path, CxiHeader(**(header | changes)), batches)
        return path
