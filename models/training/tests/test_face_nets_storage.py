"""Weights stored as float16."""

import numpy as np
import onnx
import onnxruntime
import pytest

from face_nets.fp16_storage import MIN_ELEMENTS, store_as_float16
from face_nets.onnx_graph import GraphBuilder

ROWS = 16


def matrix_model(weights: np.ndarray) -> onnx.ModelProto:
    graph = GraphBuilder()
    graph.node("MatMul", ["x", graph.constant("w", weights)], "y_large")
    graph.node("Mul", ["y_large", graph.scalar("gain", 0.1)], "y")
    return graph.model("test", "test", [("x", ["N", ROWS])], [("y", ["N", weights.shape[1]])])


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def stored_types(model: onnx.ModelProto) -> dict[str, int]:
    return {initializer.name: initializer.data_type for initializer in model.graph.initializer}


def test_weights_that_were_float16_survive_without_loss():
    random = np.random.default_rng(0)
    weights = random.normal(size=(ROWS, 8)).astype(np.float16).astype(np.float32)
    x = random.normal(size=(3, ROWS)).astype(np.float32)
    model = matrix_model(weights)
    np.testing.assert_array_equal(run(store_as_float16(model), x), run(model, x))


def test_other_weights_move_by_half_a_float16_step_at_most():
    random = np.random.default_rng(0)
    weights = random.normal(size=(ROWS, 8)).astype(np.float32)
    found = run(store_as_float16(matrix_model(weights)), np.eye(ROWS, dtype=np.float32)) / np.float32(0.1)
    assert np.abs(found / weights - 1).max() < 2**-11 + 1e-6


def test_only_large_initializers_are_halved_and_the_model_itself_is_left_alone():
    model = matrix_model(np.ones((ROWS, 8), np.float32))
    types = stored_types(store_as_float16(model))
    assert types == {"w_h": onnx.TensorProto.FLOAT16, "gain": onnx.TensorProto.FLOAT}
    assert stored_types(model) == {"w": onnx.TensorProto.FLOAT, "gain": onnx.TensorProto.FLOAT}
    assert ROWS * 8 >= MIN_ELEMENTS


def test_a_weight_beyond_float16_is_refused():
    with pytest.raises(ValueError, match="w: a weight of 70000"):
        store_as_float16(matrix_model(np.full((ROWS, 8), 70000, np.float32)))


def test_equal_constants_are_shared_and_different_ones_are_numbered():
    graph = GraphBuilder()
    assert graph.constant("a", [1.0, 2.0]) == "a"
    assert graph.constant("a", [1.0, 2.0]) == "a"
    assert graph.constant("a", [1.0, 3.0]) == "a_1"
    assert graph.scalar("half", 0.5) == "half"
    assert graph.scalar("half", 0.5) == "half_2"
    assert graph.node("Add", ["a", "a_1"]) == "add_3"
