"""Input-gradient graphs against PyTorch's autograd, operator by operator and for whole networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from fitdiff.export.graph import IR_VERSION, OPSET, GraphError
from fitdiff.export.vjp import input_vjp
from fitdiff.export.vjp_registry import RULES

TOLERANCE = 2e-5


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def graph(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


class Case:
    """An ONNX node, its inputs and constants, and the same function in PyTorch."""

    def __init__(
        self,
        operator: str,
        inputs: list[np.ndarray],
        reference: Callable,
        constants: list[np.ndarray] | None = None,
        order: str | None = None,
        outputs: int = 1,
        **attributes,
    ) -> None:
        self.operator, self.inputs, self.reference = operator, inputs, reference
        self.constants, self.outputs, self.attributes = constants or [], outputs, attributes
        self.order = order or "x" * len(inputs) + "c" * len(self.constants)
        """Arguments of the node in order: x input, c constant, - left out."""

    def check(self) -> None:
        xs, cs = iter(range(len(self.inputs))), iter(range(len(self.constants)))
        arguments = [f"x{next(xs)}" if k == "x" else f"c{next(cs)}" if k == "c" else "" for k in self.order]
        tensors = [torch.from_numpy(value).requires_grad_() for value in self.inputs]
        found = self.reference(*tensors)
        found = found if isinstance(found, tuple | list) else (found,)
        names = [f"y{i}" for i in range(self.outputs)]
        model = graph(
            [helper.make_node(self.operator, arguments, names, name="node", **self.attributes)],
            {f"x{i}": value.shape for i, value in enumerate(self.inputs)},
            {name: tuple(value.shape) for name, value in zip(names, found, strict=True)},
            {f"c{i}": value for i, value in enumerate(self.constants)},
        )
        feeds = {f"x{i}": value for i, value in enumerate(self.inputs)}
        forward = run(model, feeds)
        seeds = [normal(*value.shape, seed=9 + i) for i, value in enumerate(found)]
        expected = torch.autograd.grad(found, tensors, [torch.from_numpy(seed) for seed in seeds])
        vjp = input_vjp(model, list(feeds), keep=names)
        result = run(vjp, feeds | {f"seed_{name}": seed for name, seed in zip(names, seeds, strict=True)})
        for name, value in zip(names, found, strict=True):
            np.testing.assert_allclose(forward[name], value.detach().numpy(), atol=1e-4)
            np.testing.assert_array_equal(result[name], forward[name])
        for name, value in zip(feeds, expected, strict=True):
            scale = float(value.abs().max())
            np.testing.assert_allclose(result[f"grad_{name}"], value.numpy(), atol=TOLERANCE * max(scale, 1e-3))


IMAGE = normal(2, 4, 6, 8)
POSITIVE = np.abs(normal(2, 3, 4)) + 0.5
WEIGHT = normal(6, 4, 3, 3, seed=1)
GROUPED = normal(6, 2, 3, 3, seed=1)
LARGE = normal(16, 8, 3, 3, seed=1)
BIAS = normal(6, seed=2)


def conv(**options):
    return lambda x: F.conv2d(x, torch.from_numpy(WEIGHT), torch.from_numpy(BIAS), **options)


CASES = {
    "identity": Case("Identity", [IMAGE], lambda x: x * 1),
    "add broadcast": Case("Add", [IMAGE, normal(4, 1, 1)], lambda x, y: x + y),
    "sub broadcast": Case("Sub", [normal(6, 1), IMAGE], lambda x, y: x - y),
    "mul broadcast": Case("Mul", [IMAGE, normal(1, 4, 1, 8)], lambda x, y: x * y),
    "mul square": Case("Mul", [IMAGE, IMAGE + 1], lambda x, y: x * y),
    "div broadcast": Case("Div", [normal(2, 3, 4), POSITIVE[:1]], lambda x, y: x / y),
    "neg": Case("Neg", [IMAGE], lambda x: -x),
    "sqrt": Case("Sqrt", [POSITIVE], torch.sqrt),
    "reciprocal": Case("Reciprocal", [POSITIVE], torch.reciprocal),
    "exp": Case("Exp", [IMAGE], torch.exp),
    "abs": Case("Abs", [IMAGE], torch.abs),
    "pow": Case("Pow", [POSITIVE], lambda x: x**3, [np.float32(3).reshape(())]),
    "sigmoid": Case("Sigmoid", [IMAGE], torch.sigmoid),
    "tanh": Case("Tanh", [IMAGE], torch.tanh),
    "relu": Case("Relu", [IMAGE], F.relu),
    "max": Case("Max", [IMAGE, normal(6, 8, seed=3)], torch.maximum),
    "min": Case("Min", [IMAGE, normal(6, 8, seed=3)], torch.minimum),
    "clip both": Case("Clip", [IMAGE], lambda x: x.clamp(-0.5, 0.7), [np.float32(-0.5), np.float32(0.7)]),
    "clip below": Case("Clip", [IMAGE], lambda x: x.clamp_min(0.1), [np.float32(0.1)]),
    "clip above": Case("Clip", [IMAGE], lambda x: x.clamp_max(0.1), [np.float32(0.1)], order="x-c"),
    "where": Case(
        "Where",
        [IMAGE, normal(6, 8, seed=3)],
        lambda x, y: torch.where(torch.from_numpy(IMAGE > 0), x, y),
        [IMAGE > 0],
        order="cxx",
    ),
    "cast": Case("Cast", [IMAGE], lambda x: x * 1, to=TensorProto.FLOAT),
    "reshape": Case("Reshape", [IMAGE], lambda x: x.reshape(8, 48), [ints(8, 48)]),
    "unsqueeze": Case("Unsqueeze", [IMAGE], lambda x: x[:, None], [ints(1)]),
    "squeeze": Case("Squeeze", [normal(2, 1, 3)], lambda x: x[:, 0], [ints(1)]),
    "flatten": Case("Flatten", [IMAGE], lambda x: x.flatten(1), axis=1),
    "expand": Case("Expand", [normal(4, 1, 8)], lambda x: x.expand(2, 4, 6, 8), [ints(2, 4, 6, 8)]),
    "transpose": Case("Transpose", [IMAGE], lambda x: x.permute(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    "transpose default": Case("Transpose", [POSITIVE], lambda x: x.permute(2, 1, 0)),
    "concat": Case("Concat", [IMAGE, normal(2, 3, 6, 8)], lambda x, y: torch.cat([x, y], 1), axis=1),
    "split": Case("Split", [IMAGE], lambda x: x.split([1, 3], 1), [ints(1, 3)], outputs=2, axis=1),
    "slice": Case("Slice", [IMAGE], lambda x: x[:, 1:3, :, -5:-1], [ints(1, -5), ints(3, -1), ints(1, 3), ints(1, 1)]),
    "slice default axes": Case("Slice", [IMAGE], lambda x: x[1:], [ints(1), ints(2**31)]),
    "pad": Case("Pad", [IMAGE], lambda x: F.pad(x, (1, 2, 0, 3)), [ints(0, 0, 0, 1, 0, 0, 3, 2)]),
    "matmul left constant": Case(
        "MatMul", [normal(3, 5)], lambda x: torch.from_numpy(normal(4, 3)) @ x, [normal(4, 3)], order="cx"
    ),
    "matmul both": Case("MatMul", [normal(2, 3, 4), normal(2, 4, 5)], torch.matmul),
    "matmul broadcast": Case("MatMul", [normal(2, 3, 4), normal(4, 5)], torch.matmul),
    "gemm": Case(
        "Gemm",
        [normal(3, 4)],
        lambda x: 0.5 * x @ torch.from_numpy(normal(5, 4)).T + torch.from_numpy(normal(5, seed=1)),
        [normal(5, 4), normal(5, seed=1)],
        alpha=0.5,
        transB=1,
    ),
    "softmax": Case("Softmax", [IMAGE], lambda x: x.softmax(-1)),
    "softmax inner": Case("Softmax", [IMAGE], lambda x: x.softmax(1), axis=1),
    "reduce sum": Case("ReduceSum", [IMAGE], lambda x: x.sum((1, 3)), [ints(1, 3)], keepdims=0),
    "reduce sum all": Case("ReduceSum", [IMAGE], lambda x: x.sum(), keepdims=0),
    "reduce mean": Case("ReduceMean", [IMAGE], lambda x: x.mean((2, 3), keepdim=True), [ints(-2, -1)]),
    "reduce norm": Case("ReduceL2", [IMAGE], lambda x: x.norm(dim=1, keepdim=True), [ints(1)]),
    "conv same": Case("Conv", [IMAGE], conv(padding=1), [WEIGHT, BIAS], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "conv stride": Case(
        "Conv", [IMAGE], conv(padding=1, stride=2), [WEIGHT, BIAS], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]
    ),
    "conv dilated": Case(
        "Conv",
        [IMAGE],
        conv(padding=2, dilation=2),
        [WEIGHT, BIAS],
        kernel_shape=[3, 3],
        pads=[2] * 4,
        dilations=[2, 2],
    ),
    "conv padded beyond the kernel": Case(
        "Conv", [IMAGE], conv(padding=4), [WEIGHT, BIAS], kernel_shape=[3, 3], pads=[4] * 4
    ),
    "conv grouped": Case(
        "Conv",
        [IMAGE],
        lambda x: F.conv2d(x, torch.from_numpy(GROUPED), torch.from_numpy(BIAS), padding=1, groups=2),
        [GROUPED, BIAS],
        kernel_shape=[3, 3],
        pads=[1] * 4,
        group=2,
    ),
    "conv large": Case(
        "Conv",
        [normal(1, 8, 5, 5)],
        lambda x: F.conv2d(x, torch.from_numpy(LARGE)),
        [LARGE],
        kernel_shape=[3, 3],
    ),
    "conv pointwise": Case(
        "Conv",
        [normal(1, 32, 5, 5)],
        lambda x: F.conv2d(x, torch.from_numpy(normal(16, 32, 1, 1))),
        [normal(16, 32, 1, 1)],
        kernel_shape=[1, 1],
    ),
    "instance norm": Case(
        "InstanceNormalization",
        [IMAGE],
        lambda x: F.instance_norm(x, None, None, torch.from_numpy(normal(4)), torch.from_numpy(normal(4, seed=1))),
        [normal(4), normal(4, seed=1)],
    ),
    "layer norm": Case(
        "LayerNormalization",
        [IMAGE],
        lambda x: F.layer_norm(x, (8,), torch.from_numpy(normal(8)), torch.from_numpy(normal(8, seed=1))),
        [normal(8), normal(8, seed=1)],
        axis=-1,
    ),
    "resize": Case(
        "Resize",
        [IMAGE],
        lambda x: F.interpolate(x, scale_factor=(2.0, 3.0), mode="nearest"),
        [np.asarray([1, 1, 2, 3], np.float32)],
        order="x-c",
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    ),
    "average pool": Case(
        "AveragePool", [normal(2, 3, 7, 9)], lambda x: F.avg_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2]
    ),
    "global average pool": Case("GlobalAveragePool", [IMAGE], lambda x: x.mean((2, 3), keepdim=True)),
    "max pool": Case(
        "MaxPool", [normal(2, 3, 8, 9)], lambda x: F.max_pool2d(x, 3, 2), kernel_shape=[3, 3], strides=[2, 2]
    ),
    "depth to space crd": Case("DepthToSpace", [IMAGE], lambda x: F.pixel_shuffle(x, 2), blocksize=2, mode="CRD"),
    "depth to space dcr": Case(
        "DepthToSpace",
        [IMAGE],
        lambda x: x.reshape(2, 2, 2, 1, 6, 8).permute(0, 3, 4, 1, 5, 2).reshape(2, 1, 12, 16),
        blocksize=2,
        mode="DCR",
    ),
    "space to depth": Case(
        "SpaceToDepth",
        [IMAGE],
        lambda x: x.reshape(2, 4, 3, 2, 4, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 16, 3, 4),
        blocksize=2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule_matches_autograd(name: str) -> None:
    CASES[name].check()


def test_every_rule_has_a_case() -> None:
    assert {case.operator for case in CASES.values()} == set(RULES)


def test_unknown_operators_are_refused_by_name() -> None:
    model = graph([helper.make_node("Erf", ["x"], ["y"], name="odd")], {"x": (2, 3)}, {"y": (2, 3)}, {})
    with pytest.raises(GraphError, match="Erf.*odd"):
        input_vjp(model, ["x"])


def test_unsupported_variants_are_refused() -> None:
    nodes = [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[1, 1])]
    with pytest.raises(GraphError, match="AveragePool"):
        input_vjp(graph(nodes, {"x": (1, 1, 5, 5)}, {"y": (1, 1, 3, 3)}, {}), ["x"])


def test_an_input_without_influence_is_refused() -> None:
    model = graph([helper.make_node("Neg", ["x"], ["y"])], {"x": (2,), "z": (2,)}, {"y": (2,)}, {})
    with pytest.raises(GraphError, match="'z' does not reach"):
        input_vjp(model, ["z"])


def test_symbolic_shapes_are_refused() -> None:
    model = graph([helper.make_node("Neg", ["x"], ["y"])], {"x": (2,)}, {"y": (2,)}, {})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    with pytest.raises(GraphError, match="static shape"):
        input_vjp(model, ["x"])


def test_a_value_that_is_used_twice_collects_both_gradients() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["s", "x"], ["m"]),
        helper.make_node("Add", ["m", "x"], ["y"]),
    ]
    model = graph(nodes, {"x": (3, 4)}, {"y": (3, 4)}, {})
    x, seed = normal(3, 4), normal(3, 4, seed=1)
    tensor = torch.from_numpy(x).requires_grad_()
    (F.silu(tensor) + tensor).backward(torch.from_numpy(seed))
    found = run(input_vjp(model, ["x"]), {"x": x, "seed_y": seed})
    np.testing.assert_allclose(found["grad_x"], tensor.grad.numpy(), rtol=1e-5)
