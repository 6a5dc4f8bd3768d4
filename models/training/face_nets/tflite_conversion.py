"""State of one TFLite -> ONNX conversion, shared by the operator rules.

Every image-like activation is NCHW in the ONNX graph; TFLite's are NHWC. Rules see TFLite's shapes and emit ONNX.
"""

from collections.abc import Callable

import numpy as np

from .onnx_graph import GraphBuilder
from .tflite_model import Operator, TfliteModel, UnsupportedModel


class Conversion:
    """The ONNX graph under construction and the constants known so far."""

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.graph = GraphBuilder()
        self.constants = {
            index: tensor.constant for index, tensor in enumerate(model.tensors) if tensor.constant is not None
        }
        """Tensor index -> data. Dequantised weights join the stored ones as the conversion goes on."""

    def name(self, index: int) -> str:
        """ONNX name of tensor `index`."""
        return self.model.tensors[index].name

    def shape(self, index: int) -> tuple[int, ...]:
        """TFLite shape of tensor `index`, NHWC for images."""
        return self.model.tensors[index].shape

    def onnx_shape(self, index: int) -> tuple[int, ...]:
        """Shape of tensor `index` in the ONNX graph: four axes become NCHW, others stay."""
        shape = self.shape(index)
        if len(shape) != 4:
            return shape
        batch, height, width, channels = shape
        return batch, channels, height, width

    def constant(self, index: int) -> np.ndarray:
        """Data of constant tensor `index`; raises `UnsupportedModel` where it is computed at run time."""
        if index not in self.constants:
            raise UnsupportedModel(f"{self.name(index)} must be a constant")
        return self.constants[index]

    def value(self, index: int) -> str:
        """ONNX value of tensor `index`, which becomes an initializer if it is constant."""
        if index in self.constants:
            return self.graph.constant(self.name(index), self.constants[index])
        return self.name(index)


Rule = Callable[[Conversion, Operator], None]
"""Appends the ONNX nodes of one operator; their last output has the name of the operator's output tensor."""
