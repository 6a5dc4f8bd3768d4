"""One rule per built-in TFLite operator: how it is written in ONNX."""

from collections.abc import Mapping

import numpy as np

from .tflite_conversion import Conversion, Rule
from .tflite_model import Operator, UnsupportedModel

NHWC_TO_NCHW = [0, 3, 1, 2]
"""Order in which the axes of an NHWC array make an NCHW one."""

NCHW_TO_NHWC = [0, 2, 3, 1]
"""The inverse of `NHWC_TO_NCHW`."""


def same_padding(size: int, output: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis for TFLite's SAME padding; an odd one goes to the end."""
    total = max((output - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _pads(conversion: Conversion, operator: Operator, window: tuple[int, int]) -> list[int]:
    """ONNX `pads` attribute [top, left, bottom, right] of a convolution or pooling."""
    if not operator.options["same"]:
        return [0, 0, 0, 0]
    _, height, width, _ = conversion.shape(operator.inputs[0])
    _, output_height, output_width, _ = conversion.shape(operator.outputs[0])
    stride_y, stride_x = operator.options["stride"]
    top, bottom = same_padding(height, output_height, window[0], stride_y)
    left, right = same_padding(width, output_width, window[1], stride_x)
    return [top, left, bottom, right]


def dequantize(conversion: Conversion, operator: Operator) -> None:
    """Float16 weights become float32 constants; no node is emitted."""
    conversion.constants[operator.outputs[0]] = conversion.constant(operator.inputs[0]).astype(np.float32)


def convolution(conversion: Conversion, operator: Operator) -> None:
    """CONV_2D (weights OHWI) and DEPTHWISE_CONV_2D (weights 1HWC) as Conv (weights OIHW)."""
    image, weight, bias = operator.inputs
    weights = conversion.constant(weight)
    window = weights.shape[1], weights.shape[2]
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    conversion.graph.node(
        "Conv",
        [
            conversion.value(image),
            conversion.graph.constant(
                conversion.name(weight), weights.transpose([3, 0, 1, 2] if depthwise else NHWC_TO_NCHW)
            ),
            conversion.value(bias),
        ],
        conversion.name(operator.outputs[0]),
        kernel_shape=list(window),
        strides=list(operator.options["stride"]),
        pads=_pads(conversion, operator, window),
        group=conversion.shape(image)[3] if depthwise else 1,
    )


def max_pool(conversion: Conversion, operator: Operator) -> None:
    """MAX_POOL_2D."""
    window = operator.options["window"]
    conversion.graph.node(
        "MaxPool",
        [conversion.value(operator.inputs[0])],
        conversion.name(operator.outputs[0]),
        kernel_shape=list(window),
        strides=list(operator.options["stride"]),
        pads=_pads(conversion, operator, window),
    )


def relu(conversion: Conversion, operator: Operator) -> None:
    """RELU."""
    conversion.graph.node("Relu", [conversion.value(operator.inputs[0])], conversion.name(operator.outputs[0]))


def prelu(conversion: Conversion, operator: Operator) -> None:
    """PRELU with one slope per channel, stored as 11C and wanted as C11."""
    image, slope = operator.inputs
    slopes = conversion.constant(slope)
    if slopes.shape[:-1] != (1, 1):
        raise UnsupportedModel(f"{conversion.name(slope)}: expected slopes [1, 1, C], found {list(slopes.shape)}")
    conversion.graph.node(
        "PRelu",
        [
            conversion.value(image),
            conversion.graph.constant(conversion.name(slope), slopes.reshape(-1, 1, 1)),
        ],
        conversion.name(operator.outputs[0]),
    )


def add(conversion: Conversion, operator: Operator) -> None:
    """ADD of two activations of one layout."""
    _elementwise("Add", conversion, operator)


def multiply(conversion: Conversion, operator: Operator) -> None:
    """MUL, where a constant 4x4 transform is cut to the 2x3 part that `attention_ops` carries."""
    for index in operator.inputs:
        constant = conversion.constants.get(index)
        if constant is not None and constant.shape == (1, 4, 4):
            conversion.constants[index] = constant[:, :2][:, :, [0, 1, 3]]
    _elementwise("Mul", conversion, operator)


def _elementwise(op_type: str, conversion: Conversion, operator: Operator) -> None:
    for index in operator.inputs:
        if index in conversion.constants and conversion.constants[index].ndim == 4:
            raise UnsupportedModel(f"{conversion.name(index)}: no rule for an image-like constant operand")
    conversion.graph.node(
        op_type, [conversion.value(index) for index in operator.inputs], conversion.name(operator.outputs[0])
    )


def pad(conversion: Conversion, operator: Operator) -> None:
    """PAD with zeros. Amounts are stored per axis as (before, after), wanted as all befores, then all afters."""
    image, amounts = operator.inputs
    per_axis = conversion.constant(amounts)
    if per_axis.shape != (4, 2):
        raise UnsupportedModel(f"{conversion.name(amounts)}: expected [4, 2], found {list(per_axis.shape)}")
    pads = per_axis[NHWC_TO_NCHW].T.ravel().astype(np.int64)
    conversion.graph.node(
        "Pad",
        [conversion.value(image), conversion.graph.constant(conversion.name(amounts), pads)],
        conversion.name(operator.outputs[0]),
        mode="constant",
    )


def resize_bilinear(conversion: Conversion, operator: Operator) -> None:
    """RESIZE_BILINEAR with half-pixel centres."""
    output = conversion.name(operator.outputs[0])
    size = np.array(conversion.onnx_shape(operator.outputs[0]), np.int64)
    conversion.graph.node(
        "Resize",
        [conversion.value(operator.inputs[0]), "", "", conversion.graph.constant(output + "_size", size)],
        output,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def reshape(conversion: Conversion, operator: Operator) -> None:
    """RESHAPE. It reads the elements in NHWC order: an image of more than one pixel is transposed first."""
    source, target = operator.inputs[0], operator.outputs[0]
    value = conversion.value(source)
    if _pixels(conversion.shape(source)) > 1:
        value = conversion.graph.node("Transpose", [value], perm=NCHW_TO_NHWC)
    if _pixels(conversion.shape(target)) > 1:
        raise UnsupportedModel(f"{conversion.name(target)}: no rule for reshaping into an image")
    shape = conversion.onnx_shape(target)
    shape_name = conversion.graph.constant("shape_" + "x".join(map(str, shape)), np.array(shape, np.int64))
    conversion.graph.node("Reshape", [value, shape_name], conversion.name(target))


def _pixels(shape: tuple[int, ...]) -> int:
    """Spatial positions of an NHWC shape; 1 for a shape that is no image."""
    return shape[1] * shape[2] if len(shape) == 4 else 1


def concatenation(conversion: Conversion, operator: Operator) -> None:
    """CONCATENATION of arrays that are no images, so that the axis keeps its number."""
    output = operator.outputs[0]
    if len(conversion.shape(output)) == 4:
        raise UnsupportedModel(f"{conversion.name(output)}: no rule for joining images")
    conversion.graph.node(
        "Concat",
        [conversion.value(index) for index in operator.inputs],
        conversion.name(output),
        axis=operator.options["axis"],
    )


def strided_slice(conversion: Conversion, operator: Operator) -> None:
    """STRIDED_SLICE that takes everything, as the attention mesh has it."""
    source, target = operator.inputs[0], operator.outputs[0]
    if conversion.shape(source) != conversion.shape(target):
        raise UnsupportedModel(f"{conversion.name(target)}: no rule for a slice that leaves something out")
    conversion.graph.node("Identity", [conversion.value(source)], conversion.name(target))


BUILTIN_RULES: Mapping[str, Rule] = {
    "ADD": add,
    "CONCATENATION": concatenation,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "DEQUANTIZE": dequantize,
    "MAX_POOL_2D": max_pool,
    "MUL": multiply,
    "PAD": pad,
    "PRELU": prelu,
    "RELU": relu,
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": resize_bilinear,
    "STRIDED_SLICE": strided_slice,
}
"""TFLite schema name -> rule."""
