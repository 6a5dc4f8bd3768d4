"""Input-gradient rules of elementwise, shape, reduction and matrix operators; see `vjp_registry` for what a rule is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from fitdiff.export.graph import GraphBuilder, GraphError, attributes
from fitdiff.export.vjp_registry import Gradients, only_first, rule


def _broadcast(builder: GraphBuilder, node: onnx.NodeProto, gradients: Gradients, wanted: Sequence[bool]) -> Gradients:
    """Sum each wanted operand's gradient back to the operand's shape."""
    return [
        builder.sum_to(gradient, builder.shapes[name]) if want and gradient is not None else None
        for name, gradient, want in zip(node.input, gradients, wanted, strict=True)
    ]


@rule("Identity")
def _identity(b, node, g, wanted):
    return [g[0]]


@rule("Add")
def _add(b, node, g, wanted):
    return _broadcast(b, node, [g[0], g[0]], wanted)


@rule("Sub")
def _sub(b, node, g, wanted):
    return _broadcast(b, node, [g[0], b.op("Neg", g[0]) if wanted[1] else None], wanted)


@rule("Mul")
def _mul(b, node, g, wanted):
    x, y = node.input
    return _broadcast(
        b, node, [b.op("Mul", g[0], y) if wanted[0] else None, b.op("Mul", g[0], x) if wanted[1] else None], wanted
    )


@rule("Div")
def _div(b, node, g, wanted):
    quotient = b.op("Div", g[0], node.input[1])
    below = b.op("Neg", b.op("Mul", quotient, node.output[0])) if wanted[1] else None
    return _broadcast(b, node, [quotient, below], wanted)


@rule("Neg")
def _neg(b, node, g, wanted):
    return [b.op("Neg", g[0])]


@rule("Sqrt")
def _sqrt(b, node, g, wanted):
    return [b.op("Div", b.op("Mul", g[0], b.constant(0.5)), node.output[0])]


@rule("Reciprocal")
def _reciprocal(b, node, g, wanted):
    y = node.output[0]
    return [b.op("Neg", b.op("Mul", g[0], b.op("Mul", y, y)))]


@rule("Exp")
def _exp(b, node, g, wanted):
    return [b.op("Mul", g[0], node.output[0])]


@rule("Abs")
def _abs(b, node, g, wanted):
    return [b.op("Mul", g[0], b.op("Sign", node.input[0]))]


@rule("Pow")
def _pow(b, node, g, wanted):
    x, exponent = node.input
    if wanted[1]:
        raise GraphError(f"Pow '{node.name}': the exponent must be a constant")
    power = b.array(exponent, f"Pow '{node.name}'").astype(np.float32)
    if power.size != 1:
        raise GraphError(f"Pow '{node.name}': the exponent must be a scalar")
    slope = b.op("Mul", b.op("Pow", x, b.constant(power - 1)), b.constant(power))
    return _broadcast(b, node, [b.op("Mul", g[0], slope), None], wanted)


@rule("Sigmoid")
def _sigmoid(b, node, g, wanted):
    y = node.output[0]
    return [b.op("Mul", g[0], b.op("Sub", y, b.op("Mul", y, y)))]


@rule("Tanh")
def _tanh(b, node, g, wanted):
    y = node.output[0]
    return [b.op("Mul", g[0], b.op("Sub", b.constant(1.0), b.op("Mul", y, y)))]


@rule("Relu")
def _relu(b, node, g, wanted):
    zero = b.constant(0.0)
    return [b.op("Where", b.op("Greater", node.output[0], zero), g[0], zero)]


@rule("Max", "Min")
def _extremum(b, node, g, wanted):
    """The operand that is the result takes the gradient; of equal ones the first."""
    if len(node.input) != 2:
        raise GraphError(f"{node.op_type} '{node.name}': expected two operands")
    x, y = node.input
    first = b.op("GreaterOrEqual" if node.op_type == "Max" else "LessOrEqual", x, y)
    zero = b.constant(0.0)
    return _broadcast(b, node, [b.op("Where", first, g[0], zero), b.op("Where", first, zero, g[0])], wanted)


@rule("Clip")
def _clip(b, node, g, wanted):
    x, gradient, zero = node.input[0], g[0], b.constant(0.0)
    for comparison, bound in zip(("GreaterOrEqual", "LessOrEqual"), node.input[1:], strict=False):
        if bound:
            gradient = b.op("Where", b.op(comparison, x, bound), gradient, zero)
    return only_first(gradient, node)


@rule("Where")
def _where(b, node, g, wanted):
    condition, zero = node.input[0], b.constant(0.0)
    return _broadcast(
        b, node, [None, b.op("Where", condition, g[0], zero), b.op("Where", condition, zero, g[0])], wanted
    )


@rule("Cast")
def _cast(b, node, g, wanted):
    source = b.types[node.input[0]]
    return [g[0] if b.types[g[0]] == source else b.op("Cast", g[0], to=source)]


@rule("Reshape", "Unsqueeze", "Squeeze", "Flatten")
def _reshape(b, node, g, wanted):
    return only_first(b.reshape(g[0], b.shapes[node.input[0]]), node)


@rule("Expand")
def _expand(b, node, g, wanted):
    return only_first(b.sum_to(g[0], b.shapes[node.input[0]]), node)


@rule("Transpose")
def _transpose(b, node, g, wanted):
    rank = len(b.shapes[node.input[0]])
    order = attributes(node).get("perm", list(reversed(range(rank))))
    return [b.op("Transpose", g[0], perm=[int(axis) for axis in np.argsort(order)])]


@rule("Concat")
def _concat(b, node, g, wanted):
    axis = attributes(node)["axis"]
    sizes = b.integers([b.shapes[name][axis] for name in node.input])
    return b.op_many("Split", g[0], sizes, outputs=len(node.input), axis=axis)


@rule("Split")
def _split(b, node, g, wanted):
    parts = [
        part if part is not None else b.constant(np.zeros(b.shapes[name]))
        for part, name in zip(g, node.output, strict=True)
    ]
    return only_first(b.op("Concat", *parts, axis=attributes(node).get("axis", 0)), node)


@rule("Slice")
def _slice(b, node, g, wanted):
    """Pad the gradient back with zeros; steps of 1 only."""
    purpose = f"Slice '{node.name}'"
    shape = b.shapes[node.input[0]]
    starts = b.array(node.input[1], purpose)
    axes = b.array(node.input[3], purpose) if len(node.input) > 3 and node.input[3] else np.arange(len(starts))
    if len(node.input) > 4 and node.input[4] and np.any(b.array(node.input[4], purpose) != 1):
        raise GraphError(f"{purpose}: only steps of 1 are supported")
    before = np.zeros(len(shape), np.int64)
    for start, axis in zip(starts, axes, strict=True):
        before[axis] = np.clip(start + shape[axis] if start < 0 else start, 0, shape[axis])
    after = np.asarray(shape) - before - np.asarray(b.shapes[g[0]])
    return only_first(b.op("Pad", g[0], b.integers([*before, *after])), node)


@rule("Pad")
def _pad(b, node, g, wanted):
    """Cut the gradient back; constant padding only."""
    if attributes(node).get("mode", b"constant") != b"constant" or (len(node.input) > 3 and node.input[3]):
        raise GraphError(f"Pad '{node.name}': only constant padding over all axes is supported")
    shape = b.shapes[node.input[0]]
    before = [int(amount) for amount in b.array(node.input[1], f"Pad '{node.name}'")[: len(shape)]]
    ends = [start + size for start, size in zip(before, shape, strict=True)]
    cut = b.op("Slice", g[0], b.integers(before), b.integers(ends), b.integers(range(len(shape))))
    return only_first(cut, node)


@rule("MatMul")
def _matmul(b, node, g, wanted):
    x, y = node.input
    ranks = len(b.shapes[x]), len(b.shapes[y])
    if min(ranks) < 2:
        raise GraphError(f"MatMul '{node.name}': vectors are not supported")

    def transposed(name: str) -> str:
        rank = len(b.shapes[name])
        return b.op("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])

    return _broadcast(
        b,
        node,
        [
            b.op("MatMul", g[0], transposed(y)) if wanted[0] else None,
            b.op("MatMul", transposed(x), g[0]) if wanted[1] else None,
        ],
        wanted,
    )


@rule("Gemm")
def _gemm(b, node, g, wanted):
    """Gradient of the first factor; the others must be constants, as in a linear layer."""
    found = attributes(node)
    if any(wanted[1:]) or found.get("transA", 0):
        raise GraphError(f"Gemm '{node.name}': only the gradient of an untransposed first factor is supported")
    gradient = b.op("Gemm", g[0], node.input[1], alpha=found.get("alpha", 1.0), transB=1 - found.get("transB", 0))
    return only_first(gradient, node)


@rule("Softmax")
def _softmax(b, node, g, wanted):
    y = node.output[0]
    weighted = b.op("Mul", g[0], y)
    total = b.op("ReduceSum", weighted, b.integers([attributes(node).get("axis", -1)]), keepdims=1)
    return [b.op("Sub", weighted, b.op("Mul", y, total))]


@rule("ReduceSum", "ReduceMean", "ReduceL2")
def _reduce(b, node, g, wanted):
    x, y = node.input[0], node.output[0]
    shape = b.shapes[x]
    axes = range(len(shape))
    if len(node.input) > 1 and node.input[1]:
        axes = [int(axis) % len(shape) for axis in b.array(node.input[1], f"{node.op_type} '{node.name}'")]
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    gradient = b.reshape(g[0], kept)
    if node.op_type == "ReduceL2":
        return only_first(b.op("Mul", b.op("Div", gradient, b.reshape(y, kept)), x), node)
    if node.op_type == "ReduceMean":
        gradient = b.op("Mul", gradient, b.constant(1.0 / np.prod([shape[axis] for axis in axes])))
    return only_first(b.op("Expand", gradient, b.integers(shape)), node)
