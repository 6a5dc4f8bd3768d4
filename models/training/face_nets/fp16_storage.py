"""Stores large float32 weights as float16 with a Cast in front of their use.

The file halves and computation stays float32: runtimes fold the Cast when a session opens. It is lossless for
MediaPipe's networks, whose weights were float16 to begin with.
"""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

MIN_ELEMENTS = 32
"""Initializers of fewer elements stay float32: a Cast would cost more than it saves."""

STORED_SUFFIX = "_h"
"""Ending of the float16 initializer's name; the Cast's output keeps the original name."""


def store_as_float16(model: ModelProto) -> ModelProto:
    """A copy of `model` with its large float32 initializers stored as float16.

    Raises `ValueError` for a weight beyond float16's range (65504).
    """
    stored = ModelProto()
    stored.CopyFrom(model)
    casts = []
    for initializer in stored.graph.initializer:
        weights = numpy_helper.to_array(initializer)
        if weights.dtype != np.float32 or weights.size < MIN_ELEMENTS:
            continue
        with np.errstate(over="ignore"):
            halved = weights.astype(np.float16)
        if not np.isfinite(halved).all():
            raise ValueError(f"{initializer.name}: a weight of {np.abs(weights).max()} does not fit into float16")
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(halved, name + STORED_SUFFIX))
        casts.append(helper.make_node("Cast", [name + STORED_SUFFIX], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *stored.graph.node]
    del stored.graph.node[:]
    stored.graph.node.extend(nodes)
    onnx.checker.check_model(stored, full_check=True)
    return stored
