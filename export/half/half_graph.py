"""A graph's numbers turned from FP32 to half, but for the operators that have to stay.

The middle step of FP16 export: which operators stay → **conversion** → emulation. ONNX Runtime's
own converter won't do here: it casts the graph's input to half first and, between two operators
that stay in FP32, every value to half and back, so that raw counts overflow.
"""

from collections.abc import Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from wnet_edge.export.graph import opset

MAX_VALUE = 3e4
"""Half of what half holds (65504): the largest |x| that is trusted to it."""

_HALF_TYPE = "tensor(float16)"


def float_tensors(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every FP32 and half tensor of a graph: input, constant or result."""
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    kinds = {tensor.name: tensor.data_type for tensor in typed.initializer}
    for port in (*typed.input, *typed.value_info, *typed.output):
        kinds[port.name] = port.type.tensor_type.elem_type
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return {name: kind for name, kind in kinds.items() if kind in floats}


def takes_half(node: onnx.NodeProto, floats: Set[str], version: int) -> bool:
    """Whether ONNX has this operator in half, and it computes with floats at all.

    Args:
        node: of a graph in FP32, of ONNX's own operators.
        floats: names of the graph's FP32 tensors.
        version: of the ONNX operator set.
    """
    if node.op_type == "Cast":
        return False
    formals = onnx.defs.get_schema(node.op_type, version).outputs
    return any(name in floats for name in _following(node, version)) and all(
        name in floats and _HALF_TYPE in formal.types
        for name, formal in zip(node.output, formals, strict=False)
    )


def half_graph(model: onnx.ModelProto, kept: Set[str]) -> onnx.ModelProto:
    """The graph with every operator in half that takes it, weights included, but for some.

    Input and outputs stay FP32. A tensor is cast once, before its first use in the other type, and
    then has `_half` or `_single` behind its name; so has a constant in half.

    Args:
        model: FP32; results keep their names, but for outputs that come out of a half operator.
        kept: results of the operators that stay in FP32, with their constants.
    """
    return _Conversion(model, kept).result()


def _following(node: onnx.NodeProto, version: int) -> list[str]:
    """The inputs whose type is the operator's choice: not an axis, say, nor Resize's scales."""
    formals = onnx.defs.get_schema(node.op_type, version).inputs
    last = len(formals) - 1  # of Concat, for all its inputs
    return [
        name
        for index, name in enumerate(node.input)
        if name and _HALF_TYPE in formals[min(index, last)].types
    ]


class _Conversion:
    """The new graph while it grows, node by node in the old one's order."""

    def __init__(self, model: onnx.ModelProto, kept: Set[str]) -> None:
        self._model = model
        self._kept = kept
        self._version = opset(model)
        self._floats = float_tensors(model).keys()
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        # (tensor of the old graph, element type) to its name in the new one.
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
        """The name under which a tensor is there in the type that is wanted, cast if need be."""
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
    """The node that turns tensor `source` into `target` of an element type."""
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=kind)
