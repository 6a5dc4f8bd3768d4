"""Input-gradient rules of convolutions, pooling, normalisation and resampling; see `vjp_registry` for what a rule
is."""

from __future__ import annotations

import numpy as np

from fitdiff.export.graph import GraphBuilder, GraphError, attributes
from fitdiff.export.vjp_registry import only_first, rule

BAKED_WEIGHTS = 256
"""Flipped convolution weights up to this size are stored; larger ones are flipped by nodes that runtimes fold once when
they load the graph, so that the file needs no second copy."""


@rule("Conv")
def _conv(b, node, g, wanted):
    """Correlation with the transposed, flipped kernel.

    At stride 1 that is a convolution again, some 25 % faster in ONNX Runtime than ConvTranspose, which covers the rest.
    """
    if any(wanted[1:]):
        raise GraphError(f"Conv '{node.name}': weights must be constants")
    found = attributes(node)
    if found.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise GraphError(f"Conv '{node.name}': auto_pad is not supported")
    x, weight = node.input[:2]
    kernel = b.shapes[weight][2:]
    rank = len(kernel)
    strides = found.get("strides", [1] * rank)
    dilations = found.get("dilations", [1] * rank)
    pads = found.get("pads", [0] * 2 * rank)
    groups = found.get("group", 1)
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    mirrored = [extent - pad for extent, pad in zip([*reach, *reach], pads, strict=True)]
    if groups == 1 and all(stride == 1 for stride in strides) and min(mirrored) >= 0:
        flipped = _flipped(b, weight)
        gradient = b.op("Conv", g[0], flipped, kernel_shape=kernel, pads=mirrored, dilations=dilations)
        return only_first(gradient, node)
    size, out = b.shapes[x][2:], b.shapes[node.output[0]][2:]
    rest = [size[i] - ((out[i] - 1) * strides[i] + reach[i] + 1 - pads[i] - pads[i + rank]) for i in range(rank)]
    gradient = b.op(
        "ConvTranspose",
        g[0],
        weight,
        kernel_shape=kernel,
        strides=strides,
        pads=pads,
        dilations=dilations,
        output_padding=rest,
        group=groups,
    )
    return only_first(gradient, node)


def _flipped(b: GraphBuilder, weight: str) -> str:
    """Weights [O,I,...] as [I,O,...], reversed along every spatial axis."""
    shape = b.shapes[weight]
    spatial = range(2, len(shape))
    if weight in b.constants and b.constants[weight].size < BAKED_WEIGHTS:
        return b.constant(np.flip(b.constants[weight].swapaxes(0, 1), list(spatial)))
    flipped = b.op("Transpose", weight, perm=[1, 0, *spatial])
    if all(size == 1 for size in shape[2:]):
        return flipped
    count = len(shape) - 2
    return b.op(
        "Slice",
        flipped,
        b.integers([-1] * count),
        b.integers([-(2**31)] * count),
        b.integers(spatial),
        b.integers([-1] * count),
    )


def _normalisation_gradient(b: GraphBuilder, x: str, gradient: str, axes: list[int], epsilon: float) -> str:
    """Gradient of (x - mean) / sqrt(var + epsilon) over `axes`."""
    over = b.integers(axes)
    centred = b.op("Sub", x, b.op("ReduceMean", x, over, keepdims=1))
    variance = b.op("ReduceMean", b.op("Mul", centred, centred), over, keepdims=1)
    inverse = b.op("Reciprocal", b.op("Sqrt", b.op("Add", variance, b.constant(epsilon))))
    normalised = b.op("Mul", centred, inverse)
    mean = b.op("ReduceMean", gradient, over, keepdims=1)
    along = b.op("ReduceMean", b.op("Mul", gradient, normalised), over, keepdims=1)
    rest = b.op("Sub", b.op("Sub", gradient, mean), b.op("Mul", normalised, along))
    return b.op("Mul", rest, inverse)


@rule("InstanceNormalization")
def _instance_normalization(b, node, g, wanted):
    x, scale, _ = node.input
    rank = len(b.shapes[x])
    factor = b.array(scale, f"InstanceNormalization '{node.name}'").reshape(1, -1, *[1] * (rank - 2))
    gradient = g[0] if np.all(factor == 1) else b.op("Mul", g[0], b.constant(factor))
    epsilon = attributes(node).get("epsilon", 1e-5)
    return only_first(_normalisation_gradient(b, x, gradient, list(range(2, rank)), epsilon), node)


@rule("LayerNormalization")
def _layer_normalization(b, node, g, wanted):
    if any(gradient is not None for gradient in g[1:]):
        raise GraphError(f"LayerNormalization '{node.name}': the statistics' gradients are not supported")
    x, scale = node.input[:2]
    rank = len(b.shapes[x])
    axis = attributes(node).get("axis", -1) % rank
    epsilon = attributes(node).get("epsilon", 1e-5)
    gradient = b.op("Mul", g[0], scale)
    return only_first(_normalisation_gradient(b, x, gradient, list(range(axis, rank)), epsilon), node)


def _repeat_nearest(b: GraphBuilder, name: str, factors: list[int]) -> str:
    """Repeat each element of [N,C,...] along the spatial axes."""
    scales = b.constant([1.0, 1.0, *factors])
    options = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return b.op("Resize", name, "", scales, **options)


@rule("Resize")
def _resize(b, node, g, wanted):
    """Nearest-neighbour enlargement by whole factors: sum over the copies."""
    size, out = b.shapes[node.input[0]], b.shapes[node.output[0]]
    whole = all(o % s == 0 for s, o in zip(size, out, strict=True))
    if attributes(node).get("mode", b"nearest") != b"nearest" or not whole or size[:2] != out[:2]:
        raise GraphError(f"Resize '{node.name}': only nearest enlargement by whole factors is supported")
    factors = [o // s for s, o in zip(size[2:], out[2:], strict=True)]
    if all(factor == 1 for factor in factors):
        return only_first(g[0], node)
    mean = b.op("AveragePool", g[0], kernel_shape=factors, strides=factors)
    return only_first(b.op("Mul", mean, b.constant(float(np.prod(factors)))), node)


@rule("AveragePool")
def _average_pool(b, node, g, wanted):
    """Windows that do not overlap: spread each gradient over its window."""
    found = attributes(node)
    kernel = found["kernel_shape"]
    if found.get("strides") != kernel or any(found.get("pads", [0])) or found.get("ceil_mode", 0):
        raise GraphError(f"AveragePool '{node.name}': only windows side by side, without padding, are supported")
    share = b.op("Mul", g[0], b.constant(1.0 / np.prod(kernel)))
    spread = _repeat_nearest(b, share, kernel)
    size, covered = b.shapes[node.input[0]], b.shapes[spread]
    rest = [s - c for s, c in zip(size, covered, strict=True)]
    if any(rest):
        spread = b.op("Pad", spread, b.integers([*[0] * len(size), *rest]))
    return [spread]


@rule("GlobalAveragePool")
def _global_average_pool(b, node, g, wanted):
    shape = b.shapes[node.input[0]]
    share = b.op("Mul", g[0], b.constant(1.0 / np.prod(shape[2:])))
    return [b.op("Expand", share, b.integers(shape))]


@rule("MaxPool")
def _max_pool(b, node, g, wanted):
    """The first largest element of each window takes its gradient.

    A convolution with one-hot kernels lays each window out along the channels; its transpose puts the gradients back.
    """
    found = attributes(node)
    kernel = found["kernel_shape"]
    strides = found.get("strides", [1] * len(kernel))
    plain = not any(found.get("pads", [0])) and not found.get("ceil_mode", 0) and len(node.output) == 1
    if not plain or any(d != 1 for d in found.get("dilations", [1])) or len(kernel) != 2:
        raise GraphError(f"MaxPool '{node.name}': only two axes without padding or dilation are supported")
    batch, channels, height, width = b.shapes[node.input[0]]
    rows, columns = b.shapes[node.output[0]][2:]
    count = kernel[0] * kernel[1]
    one_hot = b.constant(np.eye(count).reshape(count, 1, *kernel))
    planes = b.reshape(node.input[0], (batch * channels, 1, height, width))
    windows = b.op("Conv", planes, one_hot, kernel_shape=kernel, strides=strides)
    largest = b.op("ArgMax", windows, axis=1, keepdims=1)
    chosen = b.op("Equal", largest, b.constant(np.arange(count).reshape(1, count, 1, 1), np.int64))
    gradient = b.reshape(g[0], (batch * channels, 1, rows, columns))
    routed = b.op("Where", chosen, gradient, b.constant(0.0))
    rest = [
        height - ((rows - 1) * strides[0] + kernel[0]),
        width - ((columns - 1) * strides[1] + kernel[1]),
    ]
    back = b.op("ConvTranspose", routed, one_hot, kernel_shape=kernel, strides=strides, output_padding=rest)
    return [b.reshape(back, (batch, channels, height, width))]


@rule("DepthToSpace")
def _depth_to_space(b, node, g, wanted):
    batch, channels, height, width = b.shapes[node.input[0]]
    factor = attributes(node)["blocksize"]
    depth = channels // factor**2
    split = b.reshape(g[0], (batch, depth, height, factor, width, factor))
    crd = attributes(node).get("mode", b"DCR") == b"CRD"
    order = [0, 1, 3, 5, 2, 4] if crd else [0, 3, 5, 1, 2, 4]
    return [b.reshape(b.op("Transpose", split, perm=order), (batch, channels, height, width))]


@rule("SpaceToDepth")
def _space_to_depth(b, node, g, wanted):
    return [b.op("DepthToSpace", g[0], blocksize=attributes(node)["blocksize"], mode="DCR")]
