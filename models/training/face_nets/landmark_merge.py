"""Joins the seven outputs of the attention mesh into 478 landmarks and one presence logit.

The mesh's 468 rough points keep their numbers. The refined lips and eyes replace x and y of theirs; z stays the rough
one. Two irises of five points follow as 468..472 (the eye of landmark 33) and 473..477 (the eye of landmark 263); their
z is the mean of the eye's contour. Which landmark a refined point is, the model says itself: each patch is cut around
the list of landmarks that it refines, in the same order. This is what MediaPipe's landmark refinement does.
"""

from collections.abc import Sequence

import numpy as np

from .onnx_graph import Dimension, GraphBuilder
from .tflite_conversion import Conversion
from .tflite_model import TfliteModel, UnsupportedModel

MESH_POINTS = 468
"""Landmarks of the face surface."""

IRIS_POINTS = 5
"""Landmarks of one iris: its centre and four points of its edge."""

LANDMARKS = MESH_POINTS + 2 * IRIS_POINTS
"""Landmarks of the merged output."""

EYE_CONTOUR_POINTS = 16
"""The first landmarks of an eye's list are its contour, the lids' edge."""

LIPS_LEFT_CORNER = 61
LEFT_EYE_OUTER_CORNER = 33
RIGHT_EYE_INNER_CORNER = 362
"""The landmarks by whose use as `left_rotation_idx` the three patches are known."""


def refined_landmarks(model: TfliteModel) -> tuple[list[int], list[int], list[int]]:
    """Landmark numbers that the lips', left eye's and right eye's patches refine, in their outputs' order."""
    patches = {
        operator.options["left_rotation_idx"]: list(operator.options["subset_idxs"])
        for operator in model.operators
        if operator.kind == "Landmarks2TransformMatrix"
    }
    expected = (LIPS_LEFT_CORNER, LEFT_EYE_OUTER_CORNER, RIGHT_EYE_INNER_CORNER)
    if set(patches) != set(expected):
        raise UnsupportedModel(f"expected patches turned by landmarks {expected}, found {tuple(patches)}")
    lips, left_eye, right_eye = (patches[corner] for corner in expected)
    return lips, left_eye, right_eye


def merge_order(refined: Sequence[Sequence[int]]) -> np.ndarray:
    """For each of the 478 landmarks its row in [mesh, *refined parts, left iris, right iris]. int64 [478]."""
    rows = np.arange(LANDMARKS)
    start = MESH_POINTS
    left_iris = range(MESH_POINTS, MESH_POINTS + IRIS_POINTS)
    right_iris = range(MESH_POINTS + IRIS_POINTS, LANDMARKS)
    for landmarks in (*refined, left_iris, right_iris):
        rows[list(landmarks)] = np.arange(start, start + len(landmarks))
        start += len(landmarks)
    return rows.astype(np.int64)


def merge_landmarks(conversion: Conversion) -> list[tuple[str, Sequence[Dimension]]]:
    """Appends the merge to the converted attention mesh and returns the graph's outputs.

    `landmarks` [1, 478, 3] in pixels of the 192x192 input, z in the same unit and smaller towards the camera;
    `face_flag_logit` [1, 1], whose sigmoid is the presence score.
    """
    graph = conversion.graph
    mesh, lips, left_eye, right_eye, left_iris, right_iris, presence = map(conversion.name, conversion.model.outputs)
    refined = refined_landmarks(conversion.model)
    sizes = [*map(len, refined), IRIS_POINTS, IRIS_POINTS]

    points = graph.node("Reshape", [mesh, _shape(graph, 1, MESH_POINTS, 3)])
    rough = graph.node("Slice", [points, graph.indices(0), graph.indices(2), graph.indices(2)])
    parts = [
        graph.node("Reshape", [part, _shape(graph, 1, size, 2)])
        for part, size in zip((lips, left_eye, right_eye, left_iris, right_iris), sizes, strict=True)
    ]
    joined = graph.node("Concat", [rough, *parts], axis=1)
    xy = graph.node("Gather", [joined, graph.constant("refine_src", merge_order(refined))], axis=1)

    depth = graph.node("Slice", [points, graph.indices(2), graph.indices(3), graph.indices(2)])
    iris_depths = [_iris_depth(graph, depth, eye[:EYE_CONTOUR_POINTS]) for eye in refined[1:]]
    z = graph.node("Concat", [depth, *iris_depths], axis=1)

    graph.node("Concat", [xy, z], "landmarks", axis=2)
    graph.node("Reshape", [presence, _shape(graph, 1, 1)], "face_flag_logit")
    return [("landmarks", [1, LANDMARKS, 3]), ("face_flag_logit", [1, 1])]


def _iris_depth(graph: GraphBuilder, depth: str, contour: Sequence[int]) -> str:
    """Mean depth of an eye's contour, once for each point of its iris: [1, 5, 1]."""
    numbers = graph.constant(f"iris_z_{contour[0]}", np.array(contour, np.int64))
    mean = graph.node("ReduceMean", [graph.node("Gather", [depth, numbers], axis=1)], axes=[1], keepdims=1)
    return graph.node("Expand", [mean, _shape(graph, 1, IRIS_POINTS, 1)])


def _shape(graph: GraphBuilder, *sizes: int) -> str:
    return graph.constant("sh_" + "_".join(map(str, sizes)), np.array(sizes, np.int64))
