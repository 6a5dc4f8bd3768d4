"""Building blocks for working on ONNX graphs: shapes and types of every value, constants, and new nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

OPSET = 18
"""Operator set of everything that is exported; the newest whose Pad and Equal ONNX Runtime has CUDA kernels for."""
IR_VERSION = 8
"""ONNX file format version; readable by every runtime that knows opset 18."""

LARGEST_SHAPE_ARGUMENT = 64
"""Constants up to this size are shown to shape inference, which needs the arguments of Reshape, Resize, Pad and
Slice."""


class GraphError(Exception):
    """A graph cannot be differentiated or rewritten; the message names the node and the reason."""


class GraphBuilder:
    """A graph with static shapes that grows by appended nodes.

    Attributes:
        nodes: nodes that were added.
        shapes, types: of every value, by name.
        constants: initialisers by name, as arrays.
    """

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self.model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, int] = {}
        self.constants: dict[str, np.ndarray] = {}
        self._count = 0
        graph = self.model.graph
        for tensor in graph.initializer:
            self.shapes[tensor.name] = tuple(tensor.dims)
            self.types[tensor.name] = tensor.data_type
            self.constants[tensor.name] = numpy_helper.to_array(tensor)
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            if any(not dim.HasField("dim_value") for dim in kind.shape.dim):
                raise GraphError(f"value '{value.name}' has no static shape")
            self.shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
            self.types[value.name] = kind.elem_type

    def fresh(self, stem: str) -> str:
        """A value name that the graph does not have yet."""
        self._count += 1
        return f"{self.prefix}_{stem}_{self._count}"

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes) -> str:
        """Append a node with one output (or the first of several) and infer its shape and type; return its name."""
        return self.op_many(kind, *inputs, outputs=outputs, **attributes)[0]

    def op_many(self, kind: str, *inputs: str, outputs: int, **attributes) -> list[str]:
        """Append a node and return the names of its outputs."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=f"node_{names[0]}", **attributes)
        self._infer(node)
        self.nodes.append(node)
        return names

    def constant(self, value: np.ndarray | float, dtype: np.dtype | type = np.float32) -> str:
        """Add an initialiser and return its name."""
        array = np.asarray(value, dtype)
        name = self.fresh("constant")
        # Contiguous arrays have at least one axis; scalars get theirs taken away again.
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self.model.graph.initializer.append(tensor)
        self.constants[name] = array
        self.shapes[name] = array.shape
        self.types[name] = helper.np_dtype_to_tensor_dtype(array.dtype)
        return name

    def integers(self, values: Sequence[int]) -> str:
        """Add an int64 vector and return its name."""
        return self.constant(np.asarray(list(values)), np.int64)

    def array(self, name: str, purpose: str) -> np.ndarray:
        """The value of an initialiser; `purpose` is for the message where `name` is none."""
        if name not in self.constants:
            raise GraphError(f"{purpose}: '{name}' is not a constant")
        return self.constants[name]

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Reshape where the shape differs."""
        if self.shapes[name] == tuple(shape):
            return name
        return self.op("Reshape", name, self.integers(shape))

    def sum_to(self, name: str, shape: tuple[int, ...]) -> str:
        """Undo broadcasting: sum a value over the axes along which `shape` was repeated."""
        found = self.shapes[name]
        if found == shape:
            return name
        padded = (1,) * (len(found) - len(shape)) + shape
        axes = [axis for axis, (a, b) in enumerate(zip(found, padded, strict=True)) if a != b]
        if axes:
            name = self.op("ReduceSum", name, self.integers(axes), keepdims=1)
        return self.reshape(name, shape)

    def _infer(self, node: onnx.NodeProto) -> None:
        """Fill in the shapes and types of a node's outputs with ONNX's own inference on that node alone."""
        inputs = [name for name in dict.fromkeys(node.input) if name]
        graph = helper.make_graph(
            [node],
            "one",
            [helper.make_tensor_value_info(name, self.types[name], self.shapes[name]) for name in inputs],
            [onnx.ValueInfoProto(name=name) for name in node.output],
            [
                numpy_helper.from_array(self.constants[name], name)
                for name in inputs
                if name in self.constants and self.constants[name].size <= LARGEST_SHAPE_ARGUMENT
            ],
        )
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=IR_VERSION)
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for value in inferred.graph.output:
            kind = value.type.tensor_type
            if any(not dim.HasField("dim_value") for dim in kind.shape.dim):
                raise GraphError(f"the shape of a new {node.op_type} node cannot be inferred")
            self.shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
            self.types[value.name] = kind.elem_type


def attributes(node: onnx.NodeProto) -> dict:
    """A node's attributes as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def constants_to_initialisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which Constant nodes have become initialisers."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    kept = []
    for node in result.graph.node:
        if node.op_type != "Constant":
            kept.append(node)
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(numpy_helper.from_array(_constant_value(node)))
        tensor.name = node.output[0]
        result.graph.initializer.append(tensor)
    del result.graph.node[:]
    result.graph.node.extend(kept)
    return result


def _constant_value(node: onnx.NodeProto) -> np.ndarray:
    name, value = next(iter(attributes(node).items()))
    if name == "value":
        return numpy_helper.to_array(value)
    if name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise GraphError(f"Constant node '{node.output[0]}' holds a {name}, which is not supported")


def pruned(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    initialisers: Sequence[onnx.TensorProto],
    name: str,
    model: onnx.ModelProto,
) -> onnx.ModelProto:
    """A checked model of the nodes and initialisers that the outputs need."""
    needed = {value.name for value in outputs}
    live = []
    for node in reversed(nodes):
        if any(output in needed for output in node.output):
            live.append(node)
            needed.update(node.input)
    graph = helper.make_graph(live[::-1], name, inputs, outputs, [t for t in initialisers if t.name in needed])
    result = helper.make_model(graph, opset_imports=model.opset_import, ir_version=IR_VERSION, producer_name="fitdiff")
    onnx.checker.check_model(result, full_check=True)
    return result
