"""Converts a TFLite face network to ONNX: NHWC to NCHW, float16 weights to float32."""

from collections.abc import Callable, Sequence

from onnx import ModelProto

from .attention_ops import CUSTOM_RULES
from .landmark_merge import merge_landmarks
from .onnx_graph import Dimension
from .tflite_conversion import Conversion
from .tflite_model import TfliteModel, UnsupportedModel, read_tflite
from .tflite_ops import BUILTIN_RULES

PRODUCER = "tflite2onnx(min)"
DETECTOR_GRAPH = "tflite"
MESH_GRAPH = "mesh478"
"""Producer and graph names inside of the built files. They are part of the byte-for-byte contract: do not change."""

RULES = {**BUILTIN_RULES, **CUSTOM_RULES}
"""Operator kind -> rule."""

Finish = Callable[[Conversion], list[tuple[str, Sequence[Dimension]]]]
"""Appends nodes after the network's own and returns the names and shapes of the graph's outputs."""


def own_outputs(conversion: Conversion) -> list[tuple[str, Sequence[Dimension]]]:
    """The network's outputs as they are."""
    return [(conversion.name(index), conversion.onnx_shape(index)) for index in conversion.model.outputs]


def convert(model: TfliteModel, graph_name: str, finish: Finish = own_outputs) -> ModelProto:
    """Writes `model` as an ONNX graph. Inputs are float32 NCHW.

    Raises `UnsupportedModel` for an operator without a rule.
    """
    conversion = Conversion(model)
    for operator in model.operators:
        if operator.kind not in RULES:
            raise UnsupportedModel(f"no rule for TFLite operator {operator.kind}")
        RULES[operator.kind](conversion, operator)
    outputs = finish(conversion)
    inputs = [(conversion.name(index), conversion.onnx_shape(index)) for index in model.inputs]
    return conversion.graph.model(graph_name, PRODUCER, inputs, outputs)


def convert_detector(data: bytes) -> ModelProto:
    """BlazeFace: image [1, 3, n, n] -> regressors [1, anchors, 16] and score logits [1, anchors, 1]."""
    return convert(read_tflite(data), DETECTOR_GRAPH)


def convert_attention_mesh(data: bytes) -> ModelProto:
    """Attention mesh: image [1, 3, 192, 192] -> `landmarks` [1, 478, 3] and `face_flag_logit` [1, 1]."""
    return convert(read_tflite(data), MESH_GRAPH, merge_landmarks)
