"""Quantisation-aware fine-tuning: weights and ranges with which an INT8 graph is closest to FP32.

Simulated frames → FP32 graph's patches as labels → fake-quantised network → its weights and value
ranges, for the quantiser. Where rounding costs more than the budget allows, this gives it back.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from wnet_edge.calibration.ranges import Ranges
from wnet_edge.errors import ExportError
from wnet_edge.export.graph import INPUT, OUTPUTS, serialise
from wnet_edge.export.int8.fake_quantised import FakeQuantised
from wnet_edge.export.int8.quantise import Scheme, quantised_model
from wnet_edge.export.run_graph import session_on_processor
from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.loop import one_cycle
from wnet_edge.training.loss import weighted_chord, weighted_mae
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions

FRAMES_PER_EPOCH = 2048
_BATCH_FRAMES = 32
_LEARNING_RATE = 3e-4
_SCALES_RATE = 1e-3
"""Of the logarithms of the activations' scales."""


@dataclass(frozen=True)
class FineTuning:
    """How an INT8 graph is fine-tuned.

    Attributes:
        instrument: whose frames are simulated.
        epochs: of `FRAMES_PER_EPOCH` new frames each.
        seed: of the frames.
        tell: called with one line an epoch.
    """

    instrument: Instrument
    epochs: int
    seed: int
    tell: Callable[[str], None]


def fine_tuned(
    graph: bytes, ranges: Ranges, scheme: Scheme, how: FineTuning
) -> tuple[bytes, Ranges]:
    """Fine-tune; returns the FP32 graph with the new weights, and the new ranges of its tensors.

    Args:
        graph: FP32 ONNX bytes, with unique node names.
        ranges: calibrated value ranges of its tensors, to start from.
        scheme: how it will be quantised.
        how: frames and epochs.

    Raises:
        ExportError: if the graph has an operator that can't be trained here, or training diverges.
        SimulationError: if frames of the instrument can't be simulated.
    """
    model = onnx.load_from_string(graph)
    network = FakeQuantised(model, quantised_model(graph, ranges, scheme))
    front = _front(model, network.entries)
    weight = torch.from_numpy(how.instrument.weight)
    supply = SimulatedFrames(
        how.instrument, SimulationOptions(frames_per_epoch=FRAMES_PER_EPOCH), seed=how.seed
    )
    optimizer = torch.optim.Adam(
        [
            {"params": list(network.weights.values()), "peak": _LEARNING_RATE},
            {"params": list(network.growth.values()), "peak": _SCALES_RATE},
        ]
    )
    steps = how.epochs * math.ceil(FRAMES_PER_EPOCH / _BATCH_FRAMES)
    step = 0
    for epoch in range(how.epochs):
        total = 0.0
        for batch in supply.epoch(epoch, _BATCH_FRAMES):
            outputs = front.run([*OUTPUTS, *network.entries], {INPUT: batch.counts.numpy()})
            amplitude, phase_rad, *entries = map(torch.from_numpy, outputs)
            said = network(*(x.contiguous(memory_format=torch.channels_last) for x in entries))
            loss = weighted_mae(said, (amplitude, phase_rad), weight)[0] + weighted_chord(
                said[1], phase_rad, weight
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * one_cycle(step, steps)
            optimizer.step()
            step += 1
            total += float(loss.detach()) * len(batch.counts)
        if not math.isfinite(total):
            raise ExportError("quantisation-aware training diverges; leave out --qat-epochs")
        how.tell(
            f"quantisation-aware training, epoch {epoch + 1} of {how.epochs}: "
            f"{total / FRAMES_PER_EPOCH:.5f} from fp32"
        )
    return _with_weights(model, network), Ranges(
        ranges.method, {**ranges.bounds, **network.trained_bounds()}
    )


def _front(model: onnx.ModelProto, entries: tuple[str, ...]) -> onnxruntime.InferenceSession:
    """The FP32 graph with the tensors of `entries` as further outputs."""
    front = onnx.ModelProto()
    front.CopyFrom(model)
    front.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in entries
    )
    return session_on_processor(serialise(front))


def _with_weights(model: onnx.ModelProto, network: FakeQuantised) -> bytes:
    """The graph with the network's weights."""
    trained = network.trained_weights()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in made.graph.initializer:
        if tensor.name in trained:
            values = np.ascontiguousarray(trained[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return serialise(made)
