"""Quantisation of an FP32 graph to INT8 in QDQ format, with given ranges and scheme.

Third step of quantisation: frames → ranges → **quantised graph**. ONNX Runtime's quantiser inserts
the QuantizeLinear and DequantizeLinear nodes; leftovers that no provider needs are removed.

A kernel runs in integers only if its inputs and its output are quantised. So a graph for processors
quantises what stands between the layers, too: one integer path from the first convolution to the
last, in which a ReLU disappears into the unsigned range of the layer before it.
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
    BETWEEN,
    WEIGHTED,
    front_constants_in_half,
    layers_of,
    nodes_behind_first_convolution,
    nodes_behind_last_layers,
    sums_with_constants,
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
        whole: whether the operators between the layers are quantised, too.
    """

    layout: Precision
    per_channel: bool = True
    whole: bool = False
    kept: frozenset[str] = frozenset()


def quantised(graph: bytes, ranges: Ranges, scheme: Scheme) -> bytes:
    """Quantise weights and layer inputs of a graph to 8 bits; returns ONNX bytes.

    Args:
        graph: FP32 ONNX bytes, with unique node names.
        ranges: value ranges of its tensors.
        scheme: quantisation scheme.
    """
    made = quantised_model(graph, ranges, scheme)
    front_constants_in_half(made)
    made = compacted(made)
    onnx.checker.check_model(made, full_check=True)
    return serialise(made)


def quantised_model(graph: bytes, ranges: Ranges, scheme: Scheme) -> onnx.ModelProto:
    """As `quantised`, with the nodes that no provider needs, and the graph's own names."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    behind = set(nodes_behind_first_convolution(model))
    left_out = {node.name for node in model.graph.node if node.name not in behind} | scheme.kept
    kinds: tuple[str, ...] = (*WEIGHTED, *ACTIVATIONS)
    if scheme.whole:
        left_out.update(nodes_behind_last_layers(model))
        kinds += BETWEEN
    elif scheme.layout is Precision.INT8:
        # TensorRT runs a residual sum in the convolution before it if both inputs are quantised
        # (its guide, Q/DQ Layer-Placement Recommendations).
        left_out.update(sums_with_constants(model))
        kinds += ("Add",)
    activations, weights = _TYPES[scheme.layout]
    symmetric = activations is QuantType.QInt8
    # Without VNNI, x64's kernels of dense layers add pairs of products in 16 bits: 7 bits fit.
    narrow = scheme.layout is Precision.INT8_U8S8
    options: dict[str, Any] = {
        "ActivationSymmetric": symmetric,
        "WeightSymmetric": True,
        "TensorQuantOverrides": _wider(model, scheme) if narrow else {},
    }
    quantiser = QDQQuantizer(
        model,
        scheme.per_channel,
        narrow,
        weights,
        activations,
        _tensors(ranges),
        [],
        sorted(left_out),
        list(kinds),
        options,
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made: onnx.ModelProto = quantiser.model.model
    return made


def _wider(model: onnx.ModelProto, scheme: Scheme) -> dict[str, list[dict[str, Any]]]:
    """Overrides by which the weights of depthwise convolutions have all 8 bits."""
    wide: dict[str, Any] = {"quant_type": _TYPES[scheme.layout][1], "reduce_range": False}
    if scheme.per_channel:
        wide["axis"] = 0
    layers = (layer for layer in layers_of(model) if layer.depthwise)
    return {layer.weights_name: [wide] for layer in layers if layer.name not in scheme.kept}


def _tensors(ranges: Ranges) -> TensorsData:
    return TensorsData(
        CalibrationMethod.MinMax,
        {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in ranges.bounds.items()
        },
    )
