"""The rules for built-in TFLite operators: each is converted alone, run in ONNX Runtime and compared with numpy."""

import numpy as np
import onnxruntime
import pytest

from face_nets.tflite_model import Operator, Tensor, TfliteModel, UnsupportedModel
from face_nets.tflite_onnx import convert
from face_nets.tflite_ops import same_padding

RANDOM = np.random.default_rng(3)


def random(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def apply(kind: str, image: np.ndarray, output_shape: tuple[int, ...], *constants: np.ndarray, **options) -> np.ndarray:
    """Output, in TFLite's layout, of one operator on `image` with constant further inputs."""
    stored = [Tensor(f"constant{i}", value.shape, value) for i, value in enumerate(constants)]
    tensors = (Tensor("in", image.shape), *stored, Tensor("out", output_shape))
    last = len(tensors) - 1
    operator = Operator(kind, tuple(range(last)), (last,), options)
    return run(TfliteModel(tensors, (operator,), (0,), (last,)), image)


def run(model: TfliteModel, *inputs: np.ndarray) -> np.ndarray:
    data = convert(model, "test").SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {
        described.name: value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
        for described, value in zip(session.get_inputs(), inputs, strict=True)
    }
    output = session.run(None, feeds)[0]
    return output.transpose(0, 2, 3, 1) if output.ndim == 4 else output


def windows(image: np.ndarray, size: tuple[int, int], stride: int, fill: float = 0.0) -> np.ndarray:
    """SAME-padded windows of an NHWC image, [rows, columns, channels, window rows, window columns]."""
    margins = []
    for length, window in zip(image.shape[1:3], size, strict=True):
        total = max((-(-length // stride) - 1) * stride + window - length, 0)
        margins.append((total // 2, total - total // 2))
    padded = np.pad(image[0], (*margins, (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, size, (0, 1))[::stride, ::stride]


@pytest.mark.parametrize(("size", "output", "expected"), [(128, 64, (0, 1)), (5, 3, (1, 1)), (6, 3, (0, 1))])
def test_same_padding_puts_the_odd_zero_at_the_end(size, output, expected):
    assert same_padding(size, output, window=3, stride=2) == expected


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_with_same_padding(stride):
    image, weights, bias = random(1, 5, 6, 2), random(4, 3, 3, 2), random(4)
    patches = windows(image, (3, 3), stride)
    expected = np.einsum("yxcij,oijc->yxo", patches, weights) + bias
    found = apply("CONV_2D", image, (1, *expected.shape), weights, bias, same=True, stride=(stride, stride))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_a_convolution_with_valid_padding():
    image, weights, bias = random(1, 7, 5, 2), random(3, 2, 2, 2), random(3)
    patches = np.lib.stride_tricks.sliding_window_view(image[0], (2, 2), (0, 1))[::2, ::2]
    expected = np.einsum("yxcij,oijc->yxo", patches, weights) + bias
    found = apply("CONV_2D", image, (1, *expected.shape), weights, bias, same=False, stride=(2, 2))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_keeps_channels_apart(stride):
    image, weights, bias = random(1, 6, 6, 3), random(1, 3, 3, 3), random(3)
    expected = np.einsum("yxcij,ijc->yxc", windows(image, (3, 3), stride), weights[0]) + bias
    found = apply("DEPTHWISE_CONV_2D", image, (1, *expected.shape), weights, bias, same=True, stride=(stride, stride))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_max_pooling_with_same_padding_ignores_what_it_pads():
    image = -1 - np.abs(random(1, 5, 5, 2))
    expected = windows(image, (2, 2), 2, fill=-np.inf).max((3, 4))
    found = apply("MAX_POOL_2D", image, (1, 3, 3, 2), same=True, stride=(2, 2), window=(2, 2))
    np.testing.assert_array_equal(found[0], expected)


def test_relu():
    image = random(1, 2, 3, 4)
    np.testing.assert_array_equal(apply("RELU", image, image.shape), np.maximum(image, 0))


def test_prelu_has_a_slope_per_channel():
    image, slopes = random(1, 3, 2, 4), random(1, 1, 4)
    expected = np.where(image > 0, image, image * slopes)
    np.testing.assert_allclose(apply("PRELU", image, image.shape, slopes), expected)


def test_prelu_with_a_slope_per_pixel_is_refused():
    with pytest.raises(UnsupportedModel, match=r"expected slopes \[1, 1, C\], found \[3, 2, 4\]"):
        apply("PRELU", random(1, 3, 2, 4), (1, 3, 2, 4), random(3, 2, 4))


def test_padding_of_channels_stays_on_the_channels():
    image = random(1, 2, 3, 4)
    amounts = np.array([[0, 0], [1, 0], [0, 2], [0, 4]], np.int32)
    expected = np.pad(image, amounts)
    np.testing.assert_array_equal(apply("PAD", image, expected.shape, amounts), expected)


def test_bilinear_resizing_uses_half_pixel_centres():
    ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1).repeat(4, 1)
    found = apply("RESIZE_BILINEAR", ramp, (1, 8, 8, 1))
    positions = np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)
    np.testing.assert_allclose(found[0, :, :, 0], np.tile(positions, (8, 1)), atol=1e-6)


def test_reshaping_reads_an_image_pixel_by_pixel():
    image = random(1, 2, 3, 4)
    np.testing.assert_array_equal(apply("RESHAPE", image, (1, 12, 2)), image.reshape(1, 12, 2))


def test_reshaping_into_an_image_is_refused():
    with pytest.raises(UnsupportedModel, match="reshaping into an image"):
        apply("RESHAPE", random(1, 12, 2), (1, 2, 3, 4))


def test_joining_anchors_of_two_layers():
    first, second = random(1, 3, 2), random(1, 4, 2)
    tensors = (Tensor("a", first.shape), Tensor("b", second.shape), Tensor("out", (1, 7, 2)))
    model = TfliteModel(tensors, (Operator("CONCATENATION", (0, 1), (2,), {"axis": 1}),), (0, 1), (2,))
    np.testing.assert_array_equal(run(model, first, second), np.concatenate([first, second], 1))


def test_joining_images_is_refused():
    with pytest.raises(UnsupportedModel, match="joining images"):
        apply("CONCATENATION", random(1, 2, 2, 3), (1, 2, 2, 3), axis=3)


def test_float16_weights_become_float32_constants():
    image, weights = random(1, 2, 2, 3), random(2, 1, 1, 3).astype(np.float16)
    bias = np.zeros(2, np.float32)
    tensors = (
        Tensor("in", image.shape),
        Tensor("half", weights.shape, weights),
        Tensor("full", weights.shape),
        Tensor("bias", bias.shape, bias),
        Tensor("out", (1, 2, 2, 2)),
    )
    operators = (
        Operator("DEQUANTIZE", (1,), (2,)),
        Operator("CONV_2D", (0, 2, 3), (4,), {"same": True, "stride": (1, 1)}),
    )
    found = run(TfliteModel(tensors, operators, (0,), (4,)), image)
    np.testing.assert_allclose(found, image @ weights[:, 0, 0].T.astype(np.float32), atol=1e-6)


def test_addition_and_multiplication():
    values, factor = random(1, 5, 3), np.array([2.5], np.float32)
    np.testing.assert_allclose(apply("ADD", values, values.shape, factor), values + 2.5)
    np.testing.assert_allclose(apply("MUL", values, values.shape, factor), values * 2.5)


def test_a_slice_of_everything_is_the_identity_and_another_is_refused():
    values = random(1, 1, 1, 6)
    np.testing.assert_array_equal(apply("STRIDED_SLICE", values, values.shape), values)
    with pytest.raises(UnsupportedModel, match="leaves something out"):
        apply("STRIDED_SLICE", values, (1, 1, 1, 3))


def test_an_operator_without_a_rule_is_refused():
    with pytest.raises(UnsupportedModel, match="no rule for TFLite operator SOFTMAX"):
        apply("SOFTMAX", random(1, 4), (1, 4))
