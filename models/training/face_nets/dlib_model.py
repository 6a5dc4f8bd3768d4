"""Reads the layers of dlib's face recognition network from its serialised file.

The stream holds the versions of all nested layer types (outermost first), then the details of every layer from input
to output. A layer's details begin with its type's name, so that scanning forward for the names gives the layers in
execution order; the details that follow are read and skipped over, never scanned.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .dlib_stream import DlibFormatError, DlibReader

CONVOLUTIONAL_MODE = 0
"""Mode of an affine layer that has one gain and bias per channel rather than per element."""


@dataclass(frozen=True)
class Window:
    """Kernel of a convolution or pooling, (rows, columns) each. A pooling of size (0, 0) takes the whole image."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of the output for an input of `size`."""
        rows, columns = (
            (length + 2 * padding - window) // stride + 1
            for length, padding, window, stride in zip(size, self.padding, self.size, self.stride, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class Input:
    """What the network subtracts from RGB 0..255 before it divides by 256, and the image's size in pixels."""

    mean: tuple[float, float, float]
    size: tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """`parameters` holds the weights [filters, channels, rows, columns], then one bias per filter. float32."""

    window: Window
    filters: int
    parameters: np.ndarray


@dataclass(frozen=True)
class Affine:
    """Per-channel gain and bias, what is left of batch normalisation after training. float32 [channels]."""

    gain: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window."""

    window: Window


@dataclass(frozen=True)
class AveragePool:
    """Mean over a window."""

    window: Window


@dataclass(frozen=True)
class FullyConnected:
    """Matrix without bias. `weights` is float32 [inputs, outputs]."""

    weights: np.ndarray


@dataclass(frozen=True)
class Relu:
    """Negative values become 0."""


@dataclass(frozen=True)
class AddPrevious:
    """Adds the activation that a residual block began with."""


@dataclass(frozen=True)
class Loss:
    """The training loss: the outermost layer and so the first in the stream. It computes nothing here."""


Layer = Input | Convolution | Affine | MaxPool | AveragePool | FullyConnected | Relu | AddPrevious | Loss


def read_dlib_network(data: bytes) -> list[Layer]:
    """The layers in execution order. Raises `DlibFormatError` where the details do not parse."""
    reader = DlibReader(data)
    layers: list[Layer] = []
    while found := _LAYER_NAME.search(data, reader.position):
        reader.position = found.start()
        layers.append(_LAYER_READERS[reader.text()](reader))
    return layers


def _input(reader: DlibReader) -> Input:
    red, green, blue = (reader.floating() for _ in range(3))
    rows, columns = reader.integers(2)
    return Input((red, green, blue), (rows, columns))


def _window(reader: DlibReader) -> Window:
    rows, columns, stride_y, stride_x, padding_y, padding_x = reader.integers(6)
    return Window((rows, columns), (stride_y, stride_x), (padding_y, padding_x))


def _convolution(reader: DlibReader) -> Convolution:
    parameters = reader.tensor().ravel()
    filters = reader.integer()
    window = _window(reader)
    for _view in ("weights", "biases"):
        reader.alias_tensor()
    for _multiplier in ("learning rate", "weight decay", "bias learning rate", "bias weight decay"):
        reader.floating()
    return Convolution(window, filters, parameters)


def _affine(reader: DlibReader) -> Affine:
    parameters = reader.tensor().ravel()
    for _view in ("gain", "bias"):
        reader.alias_tensor()
    mode = reader.integer()
    if mode != CONVOLUTIONAL_MODE:
        raise DlibFormatError(f"expected an affine layer per channel, found mode {mode}")
    gain, bias = np.split(parameters, 2)
    return Affine(gain, bias)


def _fully_connected(reader: DlibReader) -> FullyConnected:
    outputs, inputs = reader.integers(2)
    weights = reader.tensor().reshape(inputs, outputs)
    for _view in ("weights", "biases"):
        reader.alias_tensor()
    reader.integer()  # bias mode; the tensor's size shows that there is none
    return FullyConnected(weights)


def _loss(reader: DlibReader) -> Loss:
    reader.floating()  # margin
    reader.floating()  # distance threshold
    return Loss()


_LAYER_READERS: Mapping[str, Callable[[DlibReader], Layer]] = {
    "input_rgb_image_sized": _input,
    "con_4": _convolution,
    "affine_": _affine,
    "relu_": lambda reader: Relu(),
    "max_pool_2": lambda reader: MaxPool(_window(reader)),
    "avg_pool_2": lambda reader: AveragePool(_window(reader)),
    "add_prev_": lambda reader: AddPrevious(),
    "fc_2": _fully_connected,
    "loss_metric_2": _loss,
}
"""Type name as serialised -> reader of the details after it."""

_LAYER_NAME = re.compile(b"|".join(re.escape(bytes([1, len(name)]) + name.encode()) for name in _LAYER_READERS))
"""A serialised type name: its length as an integer of one byte, then its characters."""
