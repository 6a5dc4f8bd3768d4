"""Graphs around the face recogniser for guidance: inner activations, and losses with their image gradient.

`recogniser_features` gives the descriptor and the activations of the photo's chip, once per photo. `recogniser_loss`
takes them as targets and gives, for a rendered chip, both losses and the gradient of their weighted sum:

    identity   = |descriptor - target|^2                                          (squared Euclidean distance)
    perceptual = mean over layers of mean((a - target)^2) / mean(target^2)         (relative squared distance)

Its two scalar seeds are the guidance weights of the losses.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, shape_inference

from fitdiff.export.graph import IR_VERSION, OPSET, GraphBuilder, GraphError, pruned
from fitdiff.export.vjp import input_vjp
from fitdiff.export.weights import restore_single
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS

LOSSES = ("identity_loss", "perceptual_loss")
TARGET_PREFIX = "target_"
SMALLEST_ENERGY = 1e-6
"""Added to a target's mean square, so that an all-zero target does not divide by zero."""


def recogniser_features(recogniser: onnx.ModelProto) -> onnx.ModelProto:
    """The recogniser for one image with its descriptor and perceptual activations as outputs, float32 weights."""
    base = _static_single(recogniser)
    shapes = _shapes(base)
    names = [base.graph.output[0].name, *PERCEPTUAL_LAYERS]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in names]
    return pruned(
        list(base.graph.node), list(base.graph.input), outputs, base.graph.initializer, "recogniser_features", base
    )


def recogniser_loss(recogniser: onnx.ModelProto) -> onnx.ModelProto:
    """Losses against target descriptor and activations, and their image gradient; float32 weights.

    Inputs: the image, `target_<output>` for the descriptor and each activation, `seed_identity_loss` and
    `seed_perceptual_loss` [1]. Outputs: the losses [1], the descriptor, and `grad_<image>`.
    """
    features = recogniser_features(recogniser)
    descriptor = features.graph.output[0].name
    image = features.graph.input[0].name
    builder = GraphBuilder(features, "loss")
    targets = []
    for value in features.graph.output:
        name = TARGET_PREFIX + value.name
        builder.shapes[name], builder.types[name] = builder.shapes[value.name], builder.types[value.name]
        targets.append(helper.make_tensor_value_info(name, builder.types[name], builder.shapes[name]))

    identity = builder.op("ReduceSum", _squared_difference(builder, descriptor), keepdims=0)
    terms = []
    for layer in PERCEPTUAL_LAYERS:
        target = TARGET_PREFIX + layer
        error = builder.op("ReduceMean", _squared_difference(builder, layer), keepdims=0)
        energy = builder.op("ReduceMean", builder.op("Mul", target, target), keepdims=0)
        terms.append(builder.op("Div", error, builder.op("Add", energy, builder.constant(SMALLEST_ENERGY))))
    perceptual = terms[0]
    for term in terms[1:]:
        perceptual = builder.op("Add", perceptual, term)
    perceptual = builder.op("Mul", perceptual, builder.constant(1.0 / len(terms)))
    for name, value in zip(LOSSES, (identity, perceptual), strict=True):
        shape = builder.integers([1])
        builder.nodes.append(helper.make_node("Reshape", [value, shape], [name], name=f"node_{name}"))

    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in LOSSES]
    forward = pruned(
        [*features.graph.node, *builder.nodes],
        [*features.graph.input, *targets],
        [*outputs, features.graph.output[0]],
        builder.model.graph.initializer,
        "recogniser_loss",
        builder.model,
    )
    return input_vjp(forward, [image], outputs=LOSSES, keep=(*LOSSES, descriptor))


def _squared_difference(builder: GraphBuilder, name: str) -> str:
    difference = builder.op("Sub", name, TARGET_PREFIX + name)
    return builder.op("Mul", difference, difference)


def _static_single(recogniser: onnx.ModelProto) -> onnx.ModelProto:
    """The recogniser with float32 weights, batch 1 and the exported opset."""
    model = restore_single(recogniser)
    axes_by_attribute = {"ReduceMean", "ReduceL2", "ReduceMax", "ReduceMin"}
    if any(node.op_type in axes_by_attribute for node in model.graph.node):
        raise GraphError("the recogniser has reductions whose meaning changed with opset 18")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:], model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return _named_apart(model)


def _named_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name, for messages."""
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.checker.check_model(model, full_check=True)
    return model


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
