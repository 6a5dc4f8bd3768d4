"""Collects the nodes and initializers of one ONNX graph, naming what the caller leaves unnamed.

The built files are compared byte for byte, so names are part of the contract: an unnamed node output and a
repeated initializer name both take the next number of one counter, in the order of the calls.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17
"""ONNX operator set of every converted network (GridSample needs 16)."""

IR_VERSION = 8
"""ONNX file format version; the one that belongs to opset 17."""

Dimension = int | str
"""One axis of a graph input or output; a string is a symbolic, free size."""


class GraphBuilder:
    """Nodes and initializers of a graph under construction."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, np.ndarray] = {}
        self._count = 0

    def constant(self, name: str, value: ArrayLike) -> str:
        """Adds an initializer of at least one axis and returns its name.

        An equal array under the same name is shared; a different one gets a numbered name.
        """
        array = np.asarray(value)
        present = self._initializers.get(name)
        if present is not None:
            if present.shape == array.shape and np.array_equal(present, array):
                return name
            name = self._numbered(name)
        self._initializers[name] = np.ascontiguousarray(array)
        return name

    def scalar(self, name: str, value: float) -> str:
        """Adds a float32 initializer of shape [1] and returns its name; scalars are never shared."""
        if name in self._initializers:
            name = self._numbered(name)
        self._initializers[name] = np.array([value], np.float32)
        return name

    def indices(self, *values: int) -> str:
        """Adds an int64 vector, such as the bounds of a Slice, and returns its name."""
        return self.constant("i_" + "_".join(map(str, values)), np.array(values, np.int64))

    def node(self, op_type: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Appends a node with one output and returns the output's name."""
        if output is None:
            output = self._numbered(op_type.lower())
        self._nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def model(
        self,
        graph_name: str,
        producer: str,
        inputs: Iterable[tuple[str, Sequence[Dimension]]],
        outputs: Iterable[tuple[str, Sequence[Dimension]]],
    ) -> ModelProto:
        """The finished model, checked with shape inference. All inputs and outputs are float32."""
        graph = helper.make_graph(
            self._nodes,
            graph_name,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
            [numpy_helper.from_array(array, name) for name, array in self._initializers.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=producer)
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model

    def _numbered(self, base: str) -> str:
        self._count += 1
        return f"{base}_{self._count}"
