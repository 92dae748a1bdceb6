"""An INT8 graph in PyTorch, each of its roundings as fake quantisation, so that it can be trained.

Quantisation-aware training (Jacob et al., CVPR 2018, sec. 3) needs the roundings where the graph
has them. So the nodes of the FP32 graph are run one by one, and what the quantised graph rounds is
rounded here. The scales of activations are trained with the weights (Esser et al., ICLR 2020,
eq. 1-3); those of weights follow their largest value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization.quant_utils import TENSOR_NAME_QUANT_SUFFIX
from torch import nn

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import OUTPUTS
from wnet_edge.export.int8.layers import WEIGHTED, nodes_behind_first_convolution

Attributes = Mapping[str, Any]
Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class _Node:
    """A node of the FP32 graph, as it is run in every step.

    Attributes:
        operator: ONNX operator type.
        inputs: names of the tensors that it takes.
        output: name of the one that it gives.
        attributes: by name.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes

    @classmethod
    def of(cls, node: onnx.NodeProto) -> "_Node":
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return cls(node.op_type, tuple(filter(None, node.input)), node.output[0], attributes)


@dataclass(frozen=True)
class _Rounding:
    """How an activation is rounded: x to (clamp(round(x / scale) + zero, …) − zero) · scale.

    Attributes:
        scale: name of its scale in the quantised graph; activations of the same name share it.
        zero: zero point.
        lowest: of the integers.
        highest: likewise.
    """

    scale: str
    zero: int
    lowest: int
    highest: int


@dataclass(frozen=True)
class _WeightRounding:
    """How weights are rounded: to multiples of their largest absolute value / `levels`, clamped.

    Attributes:
        axis: with a scale of its own for each of its indices; None for one scale.
        levels: the largest in units of the scale.
        lowest: multiple.
        highest: likewise.
    """

    axis: int | None
    levels: float
    lowest: int
    highest: int


class FakeQuantised(nn.Module):
    """The part of an FP32 graph behind its front, rounded as in a quantised graph made from it.

    Args:
        graph: FP32 graph, with unique node names.
        written: quantised graph made from it, before anything is removed from it.

    Attributes:
        entries: names of the tensors that the part takes from the front.

    Raises:
        ExportError: if the part has an operator that can't be trained here.
    """

    def __init__(self, graph: onnx.ModelProto, written: onnx.ModelProto) -> None:
        super().__init__()
        behind = set(nodes_behind_first_convolution(graph))
        nodes = [node for node in graph.graph.node if node.name in behind]
        unknown = {node.op_type for node in nodes}.difference(_OPERATORS)
        if unknown:
            raise ExportError(
                f"quantisation-aware training does not know {', '.join(sorted(unknown))}; leave "
                "out --qat-epochs"
            )
        stored = {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}
        made = {name for node in nodes for name in node.output}
        used = dict.fromkeys(name for node in nodes for name in node.input if name)
        self.entries = tuple(name for name in used if name not in made and name not in stored)
        trained = {
            name
            for node in nodes
            if node.op_type in WEIGHTED
            for name in node.input[1:]
            if name in stored
        }
        self._nodes = [_Node.of(node) for node in nodes]
        self._constants = {
            name: torch.from_numpy(stored[name].copy())
            for name in used
            if name in stored and name not in trained
        }
        self._parameter_of = {name: f"w{index}" for index, name in enumerate(sorted(trained))}
        self.weights = nn.ParameterDict(
            {key: _parameter(stored[name]) for name, key in self._parameter_of.items()}
        )
        self._roundings, scales = _roundings(written)
        self._weight_roundings = _weight_roundings(written, stored)
        self._scale_of = {name: f"s{index}" for index, name in enumerate(sorted(scales))}
        self._first_scale = {key: scales[name] for name, key in self._scale_of.items()}
        # Their logarithm relative to the first scale, since a step should be relative.
        self.growth = nn.ParameterDict(
            {key: nn.Parameter(torch.zeros(())) for key in self._scale_of.values()}
        )

    def forward(self, *entries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The tensors of `entries`, in that order, to amplitude and phase_rad, (B, 1, H, W)."""
        values = dict(self._constants)
        for name, value in zip(self.entries, entries, strict=True):
            values[name] = self._rounded(name, value)
        for name, key in self._parameter_of.items():
            values[name] = _rounded_weights(self.weights[key], self._weight_roundings.get(name))
        for node in self._nodes:
            given = tuple(values[name] for name in node.inputs)
            computed = _OPERATORS[node.operator](given, node.attributes)
            values[node.output] = self._rounded(node.output, computed)
        amplitude, phase_rad = (values[name] for name in OUTPUTS)
        return amplitude, phase_rad

    def trained_weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases as they are now, by their name in the FP32 graph."""
        return {
            name: self.weights[key].detach().contiguous().numpy()
            for name, key in self._parameter_of.items()
        }

    def trained_bounds(self) -> dict[str, tuple[float, float]]:
        """Value ranges of the rounded activations as they are now, by name of the tensor."""
        bounds = {}
        for name, rounding in self._roundings.items():
            scale = float(self._scale(rounding).detach())
            low, high = rounding.lowest - rounding.zero, rounding.highest - rounding.zero
            bounds[name] = (scale * low, scale * high)
        return bounds

    def _scale(self, rounding: _Rounding) -> torch.Tensor:
        key = self._scale_of[rounding.scale]
        return self._first_scale[key] * torch.exp(self.growth[key])

    def _rounded(self, name: str, values: torch.Tensor) -> torch.Tensor:
        rounding = self._roundings.get(name)
        if rounding is None:
            return values
        rounded: torch.Tensor = _Rounded.apply(  # type: ignore[no-untyped-call]
            values, self._scale(rounding), rounding
        )
        return rounded


class _Rounded(torch.autograd.Function):
    """An activation rounded, with the gradients of its scale as well (Esser et al., eq. 3)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own signature
        values: torch.Tensor,
        scale: torch.Tensor,
        how: _Rounding,
    ) -> torch.Tensor:
        """Values on the grid of integers from `lowest` to `highest`."""
        step = float(scale)
        low, high = how.lowest - how.zero, how.highest - how.zero
        # In place: these passes are most of the time of a step.
        rounded = (values / step).round_().clamp_(low, high).mul_(step)
        ctx.step, ctx.low, ctx.high = step, step * low, step * high
        ctx.save_for_backward(values, rounded)
        return rounded

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401 - likewise
        gradient: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Of the values where nothing is clipped, and of the scale."""
        values, rounded = ctx.saved_tensors
        passed = gradient * ((values >= ctx.low) & (values <= ctx.high))
        of_scale = ((gradient * rounded).sum() - (passed * values).sum()) / ctx.step
        return passed, of_scale, None


def _parameter(values: NDArray[np.float32]) -> nn.Parameter:
    tensor = torch.from_numpy(values.copy())
    # Depthwise convolutions train several times faster in this memory layout on a CPU.
    return nn.Parameter(
        tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
    )


def _rounded_weights(weights: torch.Tensor, rounding: _WeightRounding | None) -> torch.Tensor:
    if rounding is None:
        return weights
    axes = [axis for axis in range(weights.ndim) if axis != rounding.axis]
    scale = weights.detach().abs().amax(dim=axes, keepdim=True) / rounding.levels
    scale = scale.clamp(min=torch.finfo(torch.float32).tiny)
    # The gradient passes as if nothing were rounded (straight-through estimator).
    multiples = torch.round(weights / scale).clamp(rounding.lowest, rounding.highest)
    return weights + (multiples * scale - weights).detach()


def _roundings(
    written: onnx.ModelProto,
) -> tuple[dict[str, _Rounding], dict[str, float]]:
    """Roundings of activations by name of the tensor, and the scales by theirs."""
    stored = {item.name: item for item in written.graph.initializer}
    roundings, scales = {}, {}
    for node in written.graph.node:
        if node.op_type == "QuantizeLinear":
            name, scale, zero = node.input
            signed = stored[zero].data_type == TensorProto.INT8
            lowest, highest = (-128, 127) if signed else (0, 255)
            at = int(numpy_helper.to_array(stored[zero]))
            roundings[name] = _Rounding(scale, at, lowest, highest)
            scales[scale] = float(numpy_helper.to_array(stored[scale]))
    return roundings, scales


def _weight_roundings(
    written: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]
) -> dict[str, _WeightRounding]:
    """Roundings of weights by name of the tensor in the FP32 graph."""
    stored = {item.name: item for item in written.graph.initializer}
    found = {}
    for node in written.graph.node:
        name = node.input[0].removesuffix(TENSOR_NAME_QUANT_SUFFIX) if node.input else ""
        if node.op_type != "DequantizeLinear" or name not in weights:
            continue
        quantised = stored[node.input[0]]
        if quantised.data_type == TensorProto.INT32:
            continue  # a bias
        scale = numpy_helper.to_array(stored[node.input[1]])
        axis = next((a.i for a in node.attribute if a.name == "axis"), None)
        others = tuple(i for i in range(weights[name].ndim) if i != axis)
        largest = np.abs(weights[name]).max(axis=others)
        lit = largest > 0
        levels = float(np.median(largest[lit] / scale[lit])) if lit.any() else 1.0
        zero = int(numpy_helper.to_array(stored[node.input[2]]).flat[0])
        ends = np.iinfo(numpy_helper.to_array(quantised).dtype)
        found[name] = _WeightRounding(axis, levels, int(ends.min) - zero, int(ends.max) - zero)
    return found


def _conv(given: Tensors, attributes: Attributes) -> torch.Tensor:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise ExportError("quantisation-aware training does not know a convolution's uneven pads")
    values, weights, *bias = given
    convolved: torch.Tensor = F.conv2d(
        values,
        weights,
        bias[0] if bias else None,
        stride=tuple(attributes.get("strides", (1, 1))),
        padding=tuple(pads[:2]),
        dilation=tuple(attributes.get("dilations", (1, 1))),
        groups=int(attributes.get("group", 1)),
    )
    return convolved


def _resize(given: Tensors, attributes: Attributes) -> torch.Tensor:
    values, scales = given
    plain = attributes.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel"
    if attributes.get("mode") != b"linear" or not plain:
        raise ExportError("quantisation-aware training knows bilinear upsampling alone")
    factors = tuple(float(factor) for factor in scales[2:])
    return F.interpolate(values, scale_factor=factors, mode="bilinear", align_corners=False)


def _mean(given: Tensors, attributes: Attributes) -> torch.Tensor:
    return given[0].mean(dim=given[1].tolist(), keepdim=attributes.get("keepdims", 1) == 1)


def _sum(given: Tensors, attributes: Attributes) -> torch.Tensor:
    return given[0].sum(dim=given[1].tolist(), keepdim=attributes.get("keepdims", 1) == 1)


def _reshape(given: Tensors, _: Attributes) -> torch.Tensor:
    values, sizes = given[0], given[1].tolist()
    return values.reshape([values.shape[i] if size == 0 else size for i, size in enumerate(sizes)])


def _max_pool(given: Tensors, attributes: Attributes) -> torch.Tensor:
    return F.max_pool2d(given[0], attributes["kernel_shape"], attributes["strides"])


def _layer_norm(given: Tensors, attributes: Attributes) -> torch.Tensor:
    values, weight, bias = given
    shape = values.shape[attributes.get("axis", -1) :]
    return F.layer_norm(values, shape, weight, bias, attributes["epsilon"])


def _gelu(given: Tensors, attributes: Attributes) -> torch.Tensor:
    return F.gelu(given[0], approximate=attributes.get("approximate", b"none").decode())


_OPERATORS: dict[str, Callable[[Tensors, Attributes], torch.Tensor]] = {
    "Add": lambda given, _: given[0] + given[1],
    "Conv": _conv,
    "Div": lambda given, _: given[0] / given[1],
    "Gelu": _gelu,
    "LayerNormalization": _layer_norm,
    "MatMul": lambda given, _: given[0] @ given[1],
    "MaxPool": _max_pool,
    "Mul": lambda given, _: given[0] * given[1],
    "Pow": lambda given, _: given[0] ** given[1],
    "ReduceMean": _mean,
    "ReduceSum": _sum,
    "Relu": lambda given, _: torch.relu(given[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda given, _: torch.sigmoid(given[0]),
    "Sqrt": lambda given, _: torch.sqrt(given[0]),
    "Tanh": lambda given, _: torch.tanh(given[0]),
    "Transpose": lambda given, attributes: given[0].permute(attributes["perm"]),
}
"""Those that the networks here have behind their front, as the ONNX standard defines them."""
