"""Writes dlib's face recognition network as ONNX.

The network is a stem (7x7 convolution, max pooling), fourteen residual blocks, a mean over the image and a matrix.
Two things are folded into the convolutions, in float64: the affine layers, and the input's normalisation
(255 x - mean) / 256, which is exact because the first convolution has no padding.

dlib's residual addition takes operands of different sizes: each is extended with zeros at the end of every axis to the
larger of both. So blocks that double the channels pad the shortcut's, and two blocks also pad the main path's image.
"""

from typing import TypeVar

import numpy as np
from onnx import ModelProto

from .dlib_model import (
    AddPrevious,
    Affine,
    AveragePool,
    Convolution,
    FullyConnected,
    Input,
    Layer,
    Loss,
    MaxPool,
    Relu,
    Window,
    read_dlib_network,
)
from .onnx_graph import GraphBuilder

PRODUCER = "dlib2onnx"
GRAPH_NAME = "dlib_face_recognition_resnet_v1"
"""Producer and graph name inside of the built file. They are part of the byte-for-byte contract: do not change."""

INPUT_NAME = "image"
"""Float32 [N, 3, 150, 150], RGB in 0..1."""

OUTPUT_NAME = "descriptor"
"""Float32 [N, 128], not of unit length; compare by Euclidean distance."""

BATCH = "N"
"""Name of the free batch axis."""

INPUT_CHANNELS = 3

NORMALISATION_SCALE = 255.0 / 256.0
"""dlib takes 0..255 and divides by 256; the ONNX graph takes 0..1."""

NORMALISATION_DIVISOR = 256

Shape = tuple[int, int, int]
"""Channels, rows, columns."""

ExpectedLayer = TypeVar("ExpectedLayer", bound=Layer)


class UnexpectedLayer(ValueError):
    """The layers do not follow the recognition network's plan."""


def convert_recogniser(data: bytes) -> ModelProto:
    """The serialised network as ONNX: `image` [N, 3, 150, 150] -> `descriptor` [N, 128]."""
    return _Converter(read_dlib_network(data)).model()


class _Converter:
    """Walks the layers once and appends their nodes."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = [layer for layer in layers if not isinstance(layer, Loss)]
        self.next = 0
        self.convolutions = 0
        self.blocks = 0
        self.graph = GraphBuilder()

    def model(self) -> ModelProto:
        source = self._expect(Input)
        value, shape = self._stem(source)
        while isinstance(self._peek(), Convolution):
            value, shape = self._block(value, shape)
        descriptors = self._head(value)
        return self.graph.model(
            GRAPH_NAME,
            PRODUCER,
            [(INPUT_NAME, [BATCH, INPUT_CHANNELS, *source.size])],
            [(OUTPUT_NAME, [BATCH, descriptors])],
        )

    def _peek(self) -> Layer | None:
        return self.layers[self.next] if self.next < len(self.layers) else None

    def _expect(self, kind: type[ExpectedLayer]) -> ExpectedLayer:
        layer = self._peek()
        if not isinstance(layer, kind):
            raise UnexpectedLayer(f"layer {self.next}: expected {kind.__name__}, found {type(layer).__name__}")
        self.next += 1
        return layer

    def _stem(self, source: Input) -> tuple[str, Shape]:
        value, shape = self._convolution(INPUT_NAME, (INPUT_CHANNELS, *source.size), normalise=source)
        self._expect(Relu)
        value = self.graph.node("Relu", [value], "relu_stem")
        window = self._expect(MaxPool).window
        value = self.graph.node("MaxPool", [value], "pool_stem", **_attributes(window))
        return value, (shape[0], *window.output_size(shape[1:]))

    def _block(self, value: str, shape: Shape) -> tuple[str, Shape]:
        """Two convolutions and the shortcut around them, which a block of stride 2 shrinks by averaging."""
        name = f"blk{self.blocks}"
        shortcut, shortcut_shape = value, shape
        main, main_shape = self._convolution(value, shape)
        self._expect(Relu)
        main = self.graph.node("Relu", [main], main + "_r")
        main, main_shape = self._convolution(main, main_shape)
        if isinstance(self._peek(), AveragePool):
            window = self._expect(AveragePool).window
            shortcut = self.graph.node("AveragePool", [shortcut], f"skip{self.blocks}", **_attributes(window))
            shortcut_shape = (shape[0], *window.output_size(shape[1:]))
        self._expect(AddPrevious)
        self._expect(Relu)

        channels, rows, columns = map(max, main_shape, shortcut_shape)
        total = (channels, rows, columns)
        main = self._extend(main, main_shape, total, name + "_main_pad")
        shortcut = self._extend(shortcut, shortcut_shape, total, name + "_skip_pad")
        added = self.graph.node("Add", [main, shortcut], name + "_add")
        self.blocks += 1
        return self.graph.node("Relu", [added], name), total

    def _head(self, value: str) -> int:
        """Mean over the image and the matrix; returns the descriptor's length."""
        window = self._expect(AveragePool).window
        if window.size != (0, 0):
            raise UnexpectedLayer(f"expected a mean over the whole image, found one over {window.size}")
        value = self.graph.node("GlobalAveragePool", [value], "gap")
        value = self.graph.node("Flatten", [value], "feat", axis=1)
        weights = self._expect(FullyConnected).weights
        self.graph.node("MatMul", [value, self.graph.constant("fc_w", weights)], OUTPUT_NAME)
        return weights.shape[1]

    def _convolution(self, value: str, shape: Shape, normalise: Input | None = None) -> tuple[str, Shape]:
        """A convolution with the affine layer after it, and the input's normalisation before it, folded in."""
        convolution, affine = self._expect(Convolution), self._expect(Affine)
        window, filters = convolution.window, convolution.filters
        weights = convolution.parameters[:-filters].reshape(filters, shape[0], *window.size)
        gain, bias = affine.gain, affine.bias
        folded = weights.astype(np.float64) * gain[:, None, None, None]
        folded_bias = convolution.parameters[-filters:].astype(np.float64) * gain + bias
        if normalise is not None:
            mean = np.array(normalise.mean) / NORMALISATION_DIVISOR
            folded_bias = folded_bias - (folded * mean[None, :, None, None]).sum((1, 2, 3))
            folded = folded * NORMALISATION_SCALE
        name = f"conv{self.convolutions}"
        self.convolutions += 1
        self.graph.node(
            "Conv",
            [
                value,
                self.graph.constant(name + "_w", folded.astype(np.float32)),
                self.graph.constant(name + "_b", folded_bias.astype(np.float32)),
            ],
            name,
            **_attributes(window),
        )
        return name, (filters, *window.output_size(shape[1:]))

    def _extend(self, value: str, shape: Shape, total: Shape, name: str) -> str:
        """Zeros at the end of every axis up to `total`."""
        if shape == total:
            return value
        after = [larger - size for larger, size in zip(total, shape, strict=True)]
        pads = self.graph.constant(name + "_pads", np.array([0, 0, 0, 0, 0, *after], np.int64))
        return self.graph.node("Pad", [value, pads], name, mode="constant")


def _attributes(window: Window) -> dict[str, list[int]]:
    return {
        "kernel_shape": list(window.size),
        "strides": list(window.stride),
        "pads": [*window.padding, *window.padding],
    }
