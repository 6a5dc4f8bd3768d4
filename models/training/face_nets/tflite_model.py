"""Reads a TFLite flatbuffer into plain data: tensors, constants and operators with their options.

Only what the MediaPipe face networks use is understood; anything else raises `UnsupportedModel`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers

DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
"""TFLite tensor type -> numpy type."""

OPERATOR_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
"""TFLite built-in operator code -> its name in the TFLite schema."""


class UnsupportedModel(ValueError):
    """The network uses something that this converter has no rule for."""


@dataclass(frozen=True)
class Tensor:
    """A value of the graph. `shape` is NHWC for images; `constant` holds the data of a stored tensor."""

    name: str
    shape: tuple[int, ...]
    constant: np.ndarray | None = None


@dataclass(frozen=True)
class Operator:
    """One step of the graph. `kind` is the built-in operator's schema name or the custom operator's code.

    `inputs` and `outputs` index `TfliteModel.tensors`. `options` by kind:

    - CONV_2D, DEPTHWISE_CONV_2D: `same` (bool: SAME or VALID padding), `stride` (h, w)
    - MAX_POOL_2D: `same`, `stride`, `window` (h, w)
    - CONCATENATION: `axis`
    - custom operators: the model's own flexbuffer map
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TfliteModel:
    """The first (and only) subgraph of a TFLite file, operators in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(data: bytes) -> TfliteModel:
    """Parses a TFLite file.

    Raises `UnsupportedModel` for several subgraphs, unknown tensor types or unsupported operator options.
    """
    model = tflite.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() != 1:
        raise UnsupportedModel(f"expected one subgraph, found {model.SubgraphsLength()}")
    graph = model.Subgraphs(0)
    return TfliteModel(
        tensors=tuple(_tensor(model, graph.Tensors(i)) for i in range(graph.TensorsLength())),
        operators=tuple(_operator(model, graph.Operators(i)) for i in range(graph.OperatorsLength())),
        inputs=_integers(graph.InputsAsNumpy()),
        outputs=_integers(graph.OutputsAsNumpy()),
    )


def _integers(vector: Any) -> tuple[int, ...]:
    """A flatbuffer vector as a tuple; flatbuffers returns the integer 0 for an absent vector."""
    return () if isinstance(vector, int) else tuple(vector.tolist())


def _tensor(model: tflite.Model, tensor: tflite.Tensor) -> Tensor:
    # ONNX tools treat "/" in a value's name as a scope: keep names flat.
    name = tensor.Name().decode().replace("/", "_")
    shape = _integers(tensor.ShapeAsNumpy())
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return Tensor(name, shape)
    if tensor.Type() not in DTYPES:
        raise UnsupportedModel(f"tensor {name}: no rule for TFLite tensor type {tensor.Type()}")
    stored = np.frombuffer(buffer.DataAsNumpy().tobytes(), DTYPES[tensor.Type()])
    return Tensor(name, shape, stored.reshape(shape))


def _operator(model: tflite.Model, operator: tflite.Operator) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Files from before schema 3a keep the code in the deprecated field; the other one is 0 there.
    kind = OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    options: Mapping[str, Any] = {}
    if kind == "CUSTOM":
        kind = code.CustomCode().decode()
        packed = operator.CustomOptionsAsNumpy()
        if not isinstance(packed, int):
            options = flexbuffers.Loads(packed.tobytes())
    elif kind in _OPTION_READERS:
        table_class, read = _OPTION_READERS[kind]
        table, position = table_class(), operator.BuiltinOptions()
        table.Init(position.Bytes, position.Pos)
        options = read(table)
    return Operator(kind, _integers(operator.InputsAsNumpy()), _integers(operator.OutputsAsNumpy()), options)


def _without_activation(table: Any) -> None:
    """The face networks keep activations as operators of their own."""
    if table.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
        raise UnsupportedModel(f"no rule for fused activation {table.FusedActivationFunction()}")


def _strides(table: Any) -> dict[str, Any]:
    return {
        "same": table.Padding() == tflite.Padding.SAME,
        "stride": (table.StrideH(), table.StrideW()),
    }


def _convolution(table: Any) -> dict[str, Any]:
    _without_activation(table)
    if (table.DilationHFactor(), table.DilationWFactor()) != (1, 1):
        raise UnsupportedModel("no rule for a dilated convolution")
    return _strides(table)


def _depthwise(table: Any) -> dict[str, Any]:
    if table.DepthMultiplier() != 1:
        raise UnsupportedModel(f"no rule for depth multiplier {table.DepthMultiplier()}")
    return _convolution(table)


def _pool(table: Any) -> dict[str, Any]:
    _without_activation(table)
    return {**_strides(table), "window": (table.FilterHeight(), table.FilterWidth())}


def _elementwise(table: Any) -> dict[str, Any]:
    _without_activation(table)
    return {}


def _concatenation(table: Any) -> dict[str, Any]:
    _without_activation(table)
    return {"axis": table.Axis()}


def _resize(table: Any) -> dict[str, Any]:
    if table.AlignCorners() or not table.HalfPixelCenters():
        raise UnsupportedModel("only bilinear resizing with half-pixel centres has a rule")
    return {}


_OPTION_READERS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]] = {
    "CONV_2D": (tflite.Conv2DOptions, _convolution),
    "DEPTHWISE_CONV_2D": (tflite.DepthwiseConv2DOptions, _depthwise),
    "MAX_POOL_2D": (tflite.Pool2DOptions, _pool),
    "ADD": (tflite.AddOptions, _elementwise),
    "MUL": (tflite.MulOptions, _elementwise),
    "CONCATENATION": (tflite.ConcatenationOptions, _concatenation),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, _resize),
}
