"""Rewriting of an FP32 graph to half precision, except for given operators.

The middle step of FP16 export: which operators stay → **conversion** → emulation. ONNX Runtime's
own converter is unsuitable: it casts the graph's input to half first and, between two operators
that stay in FP32, every value to half and back, so that raw counts overflow.
"""

from collections.abc import Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from wnet_edge.export.graph import opset

MAX_VALUE = 3e4
"""Largest |x| that is stored in half precision: about half of its range (65504)."""

_HALF_TYPE = "tensor(float16)"


def float_tensors(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every FP32 and half tensor of a graph: inputs, constants, node outputs."""
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    kinds = {tensor.name: tensor.data_type for tensor in typed.initializer}
    for port in (*typed.input, *typed.value_info, *typed.output):
        kinds[port.name] = port.type.tensor_type.elem_type
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return {name: kind for name, kind in kinds.items() if kind in floats}


def takes_half(node: onnx.NodeProto, floats: Set[str], version: int) -> bool:
    """Whether a node computes with floats, and ONNX defines its operator for half.

    Args:
        node: node of an FP32 graph, of the default ONNX domain.
        floats: names of the graph's FP32 tensors.
        version: opset version.
    """
    if node.op_type == "Cast":
        return False
    formals = onnx.defs.get_schema(node.op_type, version).outputs
    return any(name in floats for name in _following(node, version)) and all(
        name in floats and _HALF_TYPE in formal.types
        for name, formal in zip(node.output, formals, strict=False)
    )


def half_graph(model: onnx.ModelProto, kept: Set[str]) -> onnx.ModelProto:
    """Convert all operators that support it to half, with their weights, except `kept`.

    Input and outputs stay FP32. A tensor is cast once, before its first use in the other type, and
    the cast tensor has the suffix `_half` or `_single`, as have constants in half.

    Args:
        model: FP32; tensors keep their names, except graph outputs of an operator in half.
        kept: first outputs of the operators that stay in FP32, with their constants.
    """
    return _Conversion(model, kept).result()


def _following(node: onnx.NodeProto, version: int) -> list[str]:
    """Inputs of the operator's variable float type, not axes or Resize's scales for example."""
    formals = onnx.defs.get_schema(node.op_type, version).inputs
    last = len(formals) - 1  # the variadic one, as of Concat
    return [
        name
        for index, name in enumerate(node.input)
        if name and _HALF_TYPE in formals[min(index, last)].types
    ]


class _Conversion:
    """Builds the new graph node by node in the old one's order."""

    def __init__(self, model: onnx.ModelProto, kept: Set[str]) -> None:
        self._model = model
        self._kept = kept
        self._version = opset(model)
        self._floats = float_tensors(model).keys()
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        # (tensor of the old graph, element type) to its name in the new one
        self._names: dict[tuple[str, int], str] = {
            (port.name, TensorProto.FLOAT): port.name
            for port in (*model.graph.input, *model.graph.output)
        }
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[str, onnx.TensorProto] = {}

    def result(self) -> onnx.ModelProto:
        outputs = {port.name for port in self._model.graph.output}
        for node in self._model.graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            half = self._is_half(node)
            following = _following(node, self._version) if half else []
            for index, name in enumerate(node.input):
                if name in self._floats:
                    copy.input[index] = self._operand(name, half=name in following)
                elif name in self._constants:
                    self._stored[name] = self._constants[name]
            self._nodes.append(copy)
            for index, name in enumerate(node.output):
                if half and name in outputs:
                    copy.output[index] = f"{name}_half"
                    self._nodes.append(cast(copy.output[index], name, TensorProto.FLOAT))
                kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
                self._names[name, kind] = copy.output[index]
        converted = onnx.ModelProto()
        converted.CopyFrom(self._model)
        del converted.graph.node[:], converted.graph.initializer[:], converted.graph.value_info[:]
        converted.graph.node.extend(self._nodes)
        converted.graph.initializer.extend(self._stored.values())
        return converted

    def _is_half(self, node: onnx.NodeProto) -> bool:
        return takes_half(node, self._floats, self._version) and self._kept.isdisjoint(node.output)

    def _operand(self, name: str, *, half: bool) -> str:
        """Name of a tensor in the wanted type; adds a cast if needed."""
        kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        if (name, kind) in self._names:
            return self._names[name, kind]
        if name in self._constants:
            return self._store(self._constants[name], half=half)
        other = TensorProto.FLOAT if half else TensorProto.FLOAT16
        target = f"{name}_half" if half else f"{name}_single"
        self._nodes.append(cast(self._names[name, other], target, kind))
        self._names[name, kind] = target
        return target

    def _store(self, tensor: onnx.TensorProto, *, half: bool) -> str:
        if half:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor = numpy_helper.from_array(values, f"{tensor.name}_half")
        name = str(tensor.name)
        self._stored[name] = tensor
        return name


def cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    """A Cast node from tensor `source` to `target` of element type `kind`."""
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=kind)
