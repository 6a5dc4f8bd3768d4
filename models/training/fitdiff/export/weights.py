"""Storage of weights: half precision on disk, and one copy for a network and its input gradients.

Weights are stored as fp16 initialisers with a Cast to float32 behind them; runtimes fold the Cast when they load the
graph, so that all arithmetic stays in float32. A gradient graph refers to the forward graph's file as ONNX external
data: the raw bytes of an initialiser lie somewhere in that file, and external data is a file name, an offset and a
length. So the forward file stays self-contained, and the gradient file is small.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fitdiff.export.graph import GraphError

SMALLEST_HALF = 32
"""Initialisers with fewer values stay as they are."""
SMALLEST_SHARED = 256
"""Initialisers of fewer bytes are not worth a reference."""
HALF_SUFFIX = "_half"


def store_half(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """A copy whose float32 initialisers are stored as fp16; those named in `keep` stay.

    Raises:
        GraphError: a value does not fit fp16.
    """
    result = _copy(model)
    casts = []
    for tensor in result.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name in keep:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < SMALLEST_HALF:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise GraphError(f"weights '{tensor.name}' do not fit half precision (largest {np.abs(values).max():.3g})")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, name + HALF_SUFFIX))
        casts.append(helper.make_node("Cast", [name + HALF_SUFFIX], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def restore_single(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which initialisers behind a Cast to float32 have become float32 initialisers: undoes `store_half`."""
    result = _copy(model)
    stored = {tensor.name: tensor for tensor in result.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    kept = []
    for node in result.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            values = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
            result.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    initialisers = [tensor for tensor in result.graph.initializer if tensor.name in used]
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(kept)
    result.graph.initializer.extend(initialisers)
    return result


def share_weights(model: onnx.ModelProto, content: bytes, location: str) -> onnx.ModelProto:
    """A copy whose initialisers refer to their bytes in another file as ONNX external data, where they occur in it.

    Args:
        model: the graph that is to become small.
        content: the other file's bytes.
        location: the other file's name, in the same folder.
    """
    result = _copy(model)
    for tensor in result.graph.initializer:
        raw = numpy_helper.to_array(tensor).tobytes()
        if len(raw) < SMALLEST_SHARED:
            continue
        offset = content.find(raw)
        if offset < 0:
            continue
        for field in ("raw_data", "float_data", "int32_data", "int64_data"):
            tensor.ClearField(field)
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", location), ("offset", offset), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
    return result


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result
