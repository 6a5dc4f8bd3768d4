"""The three custom operators of MediaPipe's attention mesh, written with ordinary ONNX operators.

Version 2 of the operators, as MediaPipe's TFLite custom operator set defines them. The mesh network predicts 468 rough
landmarks, cuts a 16x16 patch of features around the lips and each eye (turned upright), and predicts refined landmarks
in each patch. The operators are: landmarks -> patch transform, transform -> patch, patch landmarks -> image landmarks.

A transform is the useful 2x3 part [1, 2, 3] of TFLite's 4x4 matrix: it maps patch pixels to feature map pixels.
"""

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from .tflite_conversion import Conversion, Rule
from .tflite_model import Operator, UnsupportedModel

QUARTER_TURN = np.array([[0, 1], [-1, 0]], np.float32)
"""Right factor that turns the row vector (x, y) into (-y, x)."""


def patch_transform(conversion: Conversion, operator: Operator) -> None:
    """Landmarks2TransformMatrix: landmarks [1, 468, 3] in feature map pixels -> transform [1, 2, 3].

    The patch is the bounding box of a subset of the landmarks, in axes turned to the line between two of them and
    grown by `scale_x` and `scale_y`.
    """
    graph, options = conversion.graph, operator.options
    if options["target_rotation_radians"] != 0:
        raise UnsupportedModel("no rule for Landmarks2TransformMatrix with a target rotation")
    output = conversion.name(operator.outputs[0])
    subset = np.array(options["subset_idxs"], np.int64).ravel()
    turn_pair = np.array([options["left_rotation_idx"], options["right_rotation_idx"]], np.int64)
    width, height = options["output_width"], options["output_height"]

    landmarks = conversion.value(operator.inputs[0])
    points = graph.node("Slice", [landmarks, graph.indices(0), graph.indices(2), graph.indices(2)])  # [1, 468, 2]

    # Axes of the patch in the image: x along the pair, y a quarter turn further. [1, 2 axes, 2 coordinates]
    pair = graph.node("Gather", [points, graph.constant(output + "_lr", turn_pair)], axis=1)
    left = graph.node("Slice", [pair, graph.indices(0), graph.indices(1), graph.indices(1)])
    right = graph.node("Slice", [pair, graph.indices(1), graph.indices(2), graph.indices(1)])
    line = graph.node("Sub", [right, left])
    length = graph.node("ReduceL2", [line], axes=[2], keepdims=1)
    x_axis = graph.node("Div", [line, length])
    y_axis = graph.node("MatMul", [x_axis, graph.constant("rot90", QUARTER_TURN)])
    axes = graph.node("Concat", [x_axis, y_axis], axis=1)

    # Bounding box of the subset in these axes.
    chosen = graph.node("Gather", [points, graph.constant(output + "_subset", subset)], axis=1)
    along_axes = graph.node("MatMul", [chosen, graph.node("Transpose", [axes], perm=[0, 2, 1])])
    highest = graph.node("ReduceMax", [along_axes], axes=[1], keepdims=1)
    lowest = graph.node("ReduceMin", [along_axes], axes=[1], keepdims=1)
    size = graph.node("Sub", [highest, lowest])
    middle = graph.node("Mul", [graph.node("Add", [highest, lowest]), graph.scalar("half", 0.5)])
    centre = graph.node("MatMul", [middle, axes])  # [1, 1, 2], back in the image's axes

    # One patch pixel is `step` feature map pixels; the patch's middle falls on the centre.
    per_pixel = np.array([[[options["scale_x"] / width, options["scale_y"] / height]]], np.float32)
    step = graph.node("Mul", [size, graph.constant(output + "_sc", per_pixel)])
    linear = graph.node("Mul", [graph.node("Transpose", [axes], perm=[0, 2, 1]), step])
    patch_middle = np.array([[[-width / 2.0], [-height / 2.0]]], np.float32)
    offset = graph.node(
        "Add",
        [
            graph.node("Transpose", [centre], perm=[0, 2, 1]),
            graph.node("MatMul", [linear, graph.constant(output + "_sh", patch_middle)]),
        ],
    )
    graph.node("Concat", [linear, offset], output, axis=2)


def sample_patch(conversion: Conversion, operator: Operator) -> None:
    """TransformTensorBilinear: features [1, C, H, W] and transform [1, 2, 3] -> patch [1, C, h, w].

    Bilinear with half-pixel centres; a sample outside of the outermost pixel centres is 0.
    """
    graph = conversion.graph
    features, transform = operator.inputs
    width, height = operator.options["output_width"], operator.options["output_height"]
    _, source_height, source_width, _ = conversion.shape(features)

    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5, np.ones(height * width, np.float32)])[None]
    positions = graph.node(
        "Sub",
        [
            graph.node("MatMul", [conversion.name(transform), graph.constant("tb_base", centres)]),
            graph.scalar("half", 0.5),
        ],
    )  # [1, 2, h*w], feature map pixel indices

    # GridSample with align_corners wants -1 at the first pixel's centre and 1 at the last one's.
    to_grid = np.array([[[2 / (source_width - 1)], [2 / (source_height - 1)]]], np.float32)
    scaled = graph.node("Mul", [positions, graph.constant("tb_scale", to_grid)])
    centred = graph.node("Sub", [scaled, graph.scalar("one", 1.0)])
    grid = graph.node(
        "Reshape",
        [
            graph.node("Transpose", [centred], perm=[0, 2, 1]),
            graph.constant("tb_gshape", np.array([1, height, width, 2], np.int64)),
        ],
    )
    sampled = graph.node(
        "GridSample",
        [conversion.value(features), grid],
        mode="bilinear",
        padding_mode="zeros",
        align_corners=1,
    )

    # GridSample fades to 0 over one pixel beyond the border, where the original operator is 0 at once.
    inside = graph.node("LessOrEqual", [graph.node("Abs", [grid]), graph.scalar("one_eps", 1.0)])
    inside_both = graph.node("ReduceMin", [graph.node("Cast", [inside], to=TensorProto.FLOAT)], axes=[3], keepdims=1)
    mask = graph.node("Transpose", [inside_both], perm=[0, 3, 1, 2])
    graph.node("Mul", [sampled, mask], conversion.name(operator.outputs[0]))


def transform_landmarks(conversion: Conversion, operator: Operator) -> None:
    """TransformLandmarks: points [1, n, 2] and transform [1, 2, 3] -> points [1, n, 2]."""
    graph = conversion.graph
    points, transform = operator.inputs
    matrix = conversion.name(transform)
    linear = graph.node("Slice", [matrix, graph.indices(0), graph.indices(2), graph.indices(2)])
    offset = graph.node("Slice", [matrix, graph.indices(2), graph.indices(3), graph.indices(2)])
    turned = graph.node("MatMul", [conversion.value(points), graph.node("Transpose", [linear], perm=[0, 2, 1])])
    graph.node(
        "Add",
        [turned, graph.node("Transpose", [offset], perm=[0, 2, 1])],
        conversion.name(operator.outputs[0]),
    )


CUSTOM_RULES: Mapping[str, Rule] = {
    "Landmarks2TransformMatrix": patch_transform,
    "TransformTensorBilinear": sample_patch,
    "TransformLandmarks": transform_landmarks,
}
"""Custom operator code -> rule."""
