"""Quantisation of an FP32 graph to INT8 in QDQ format, with given ranges and scheme.

Third step of quantisation: frames → ranges → **quantised graph**. ONNX Runtime's quantiser inserts
the QuantizeLinear and DequantizeLinear nodes; leftovers that no provider needs are removed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from wnet_edge.calibration.ranges import Ranges
from wnet_edge.export.graph import serialise
from wnet_edge.export.int8.layers import (
    ACTIVATIONS,
    WEIGHTED,
    front_constants_in_half,
    nodes_behind_first_convolution,
)
from wnet_edge.export.passes.compact import compacted
from wnet_edge.package.manifest import Precision

_TYPES = {
    Precision.INT8: (QuantType.QInt8, QuantType.QInt8),
    Precision.INT8_U8U8: (QuantType.QUInt8, QuantType.QUInt8),
    Precision.INT8_U8S8: (QuantType.QUInt8, QuantType.QInt8),
}
"""Types of activations and weights by layout."""

LAYOUTS = tuple(_TYPES)
"""The quantised precisions (INT8 layouts)."""


@dataclass(frozen=True)
class Scheme:
    """Quantisation scheme of a graph.

    Attributes:
        layout: types of activations and weights.
        per_channel: one weight scale per output channel, else one per layer.
        kept: names of the layers that stay in float.
    """

    layout: Precision
    per_channel: bool = True
    kept: frozenset[str] = frozenset()


def quantised(graph: bytes, ranges: Ranges, scheme: Scheme) -> bytes:
    """Quantise weights and layer inputs of a graph to 8 bits; returns ONNX bytes.

    Args:
        graph: FP32 ONNX bytes, with unique node names.
        ranges: value ranges of its tensors.
        scheme: quantisation scheme.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    behind = set(nodes_behind_first_convolution(model))
    left_out = [node.name for node in model.graph.node if node.name not in behind]
    activations, weights = _TYPES[scheme.layout]
    symmetric = activations is QuantType.QInt8
    options: dict[str, Any] = {"ActivationSymmetric": symmetric, "WeightSymmetric": True}
    quantiser = QDQQuantizer(
        model,
        scheme.per_channel,
        False,
        weights,
        activations,
        _tensors(ranges),
        [],
        [*left_out, *sorted(scheme.kept)],
        [*WEIGHTED, *ACTIVATIONS],
        options,
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made = quantiser.model.model
    front_constants_in_half(made)
    made = compacted(made)
    onnx.checker.check_model(made, full_check=True)
    return serialise(made)


def _tensors(ranges: Ranges) -> TensorsData:
    return TensorsData(
        CalibrationMethod.MinMax,
        {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in ranges.bounds.items()
        },
    )
