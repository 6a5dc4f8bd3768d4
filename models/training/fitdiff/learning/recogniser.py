"""The bundle's face recogniser as a torch module, made from its ONNX file.

The conversion knows the dozen operators that such networks consist of and refuses others. Activations are addressed by
their names in the ONNX graph.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import Tensor, nn

from fitdiff.learning.errors import RecipeError

PERCEPTUAL_LAYERS = ("blk2", "blk6", "blk9")
"""Activations for perceptual distances: the last residual blocks at 35x35x32, 17x17x64 and 8x8x128."""
CHIP_SIZE = 150


class Recogniser(nn.Module):
    """Frozen recogniser: images [B,3,150,150] (sRGB, 0..1) to named activations, among them `descriptor` [B,128]."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:
            raise RecipeError(f"{path} is not a readable ONNX file ({error})") from error
        self.input_name = graph.input[0].name
        self._nodes = [(node.op_type, list(node.input), node.output[0], _attributes(node)) for node in graph.node]
        unknown = {kind for kind, *_ in self._nodes} - _OPERATORS.keys()
        if unknown:
            raise RecipeError(f"{path}: operators {sorted(unknown)} are not supported in a recogniser")
        for tensor in graph.initializer:
            self.register_buffer(_safe(tensor.name), torch.from_numpy(numpy_helper.to_array(tensor).copy()))
        self._constants = [tensor.name for tensor in graph.initializer]

    def forward(self, image: Tensor, outputs: tuple[str, ...] = ("descriptor",)) -> tuple[Tensor, ...]:
        """Compute the named activations, in the given order; nodes behind the last of them are not run."""
        values = {name: getattr(self, _safe(name)) for name in self._constants}
        values[self.input_name] = image
        missing = set(outputs)
        for kind, inputs, output, attributes in self._nodes:
            values[output] = _OPERATORS[kind](attributes, *(values[name] for name in inputs if name))
            missing.discard(output)
            if not missing:
                break
        return tuple(values[name] for name in outputs)


def _safe(name: str) -> str:
    return "value_" + name.replace(".", "_")


def _attributes(node: onnx.NodeProto) -> dict:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _padding(attributes: dict) -> tuple[int, ...]:
    pads = attributes.get("pads", [0, 0, 0, 0])
    if pads[0] != pads[2] or pads[1] != pads[3]:
        raise RecipeError(f"asymmetric padding {pads} is not supported in a recogniser")
    return pads[0], pads[1]


def _convolution(attributes: dict, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight, bias, stride=attributes.get("strides", [1, 1]), padding=_padding(attributes))


def _average_pool(attributes: dict, x: Tensor) -> Tensor:
    return F.avg_pool2d(x, attributes["kernel_shape"], attributes["strides"], _padding(attributes))


def _max_pool(attributes: dict, x: Tensor) -> Tensor:
    return F.max_pool2d(x, attributes["kernel_shape"], attributes["strides"], _padding(attributes))


def _pad(attributes: dict, x: Tensor, pads: Tensor) -> Tensor:
    rank, amounts = x.dim(), pads.tolist()
    return F.pad(x, [amounts[axis + side * rank] for axis in reversed(range(rank)) for side in (0, 1)])


_OPERATORS = {
    "Cast": lambda attributes, x: x if x.dtype == torch.float64 else x.float(),
    "Conv": _convolution,
    "Relu": lambda attributes, x: F.relu(x),
    "Add": lambda attributes, x, y: x + y,
    "Pad": _pad,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "GlobalAveragePool": lambda attributes, x: x.mean(dim=(2, 3), keepdim=True),
    "Flatten": lambda attributes, x: x.flatten(attributes.get("axis", 1)),
    "MatMul": lambda attributes, x, y: x @ y,
}
