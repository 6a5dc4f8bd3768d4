"""dlib's serialisation and the conversion of its network, against bytes and arithmetic written out by hand."""

import math
import struct

import numpy as np
import onnxruntime
import pytest

from face_nets.dlib_model import Input, read_dlib_network
from face_nets.dlib_onnx import UnexpectedLayer, convert_recogniser
from face_nets.dlib_stream import DlibFormatError, DlibReader


def integer(value: int) -> bytes:
    magnitude = abs(value)
    length = (magnitude.bit_length() + 7) // 8
    return bytes([length | (0x80 if value < 0 else 0)]) + magnitude.to_bytes(length, "little")


def floating(value: float) -> bytes:
    fraction, exponent = math.frexp(value)
    return integer(int(fraction * 2**24)) + integer(exponent - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def alias(*shape: int) -> bytes:
    return b"".join(map(integer, (1, *shape)))


def tensor(values: np.ndarray, *shape: int) -> bytes:
    return b"".join(map(integer, (2, *shape))) + values.astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0),
        (b"\x01\x7f", 127),
        (b"\x01\xff", 255),
        (b"\x02\x34\x12", 0x1234),
        (b"\x81\x05", -5),
        (b"\x84\x00\x00\x00\x80", -(2**31)),
        (b"\x08" + b"\xff" * 8, 2**64 - 1),
    ],
)
def test_integers_are_a_control_byte_and_a_little_endian_magnitude(data, value):
    reader = DlibReader(data)
    assert reader.integer() == value
    assert reader.position == len(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x01\x03\x81\x01", 1.5),  # 3 * 2^-1
        (b"\x81\x01\x01\x03", -8.0),  # -1 * 2^3
        (b"\x00\x00", 0.0),
    ],
)
def test_floats_are_a_mantissa_and_a_binary_exponent(data, value):
    assert DlibReader(data).floating() == value


def test_an_infinity_is_refused():
    with pytest.raises(DlibFormatError, match=r"finite number.*32000"):
        DlibReader(integer(0) + integer(32000)).floating()


@pytest.mark.parametrize("control", [0x10, 0x49, 0x09, 0x0F])
def test_a_control_byte_with_unknown_bits_is_refused(control):
    with pytest.raises(DlibFormatError, match="does not begin an integer"):
        DlibReader(bytes([control]) + bytes(16)).integer()


def test_a_truncated_value_is_refused():
    with pytest.raises(DlibFormatError, match="2 bytes wanted, 1 left"):
        DlibReader(b"\x02\x01").integer()


def test_tensors_are_a_version_four_sizes_and_raw_floats():
    data = b"\x01\x02" + b"\x01\x01\x01\x02\x01\x01\x01\x01" + struct.pack("<2f", 1.5, -2.0)
    np.testing.assert_array_equal(DlibReader(data).tensor(), np.array([1.5, -2.0]).reshape(1, 2, 1, 1))


def test_a_tensor_of_another_version_is_refused():
    with pytest.raises(DlibFormatError, match="expected tensor version 2, found 1"):
        DlibReader(integer(1)).tensor()


# A network of the recogniser's plan, small enough to compute by hand: a stem to 2 channels of 4x4, one block whose main
# path is 4 channels of 1x1 and whose shortcut is 2 channels of 2x2.
SIZE = 19
MEAN = (120.0, 110.0, 100.0)
RANDOM = np.random.default_rng(7)
STEM_WEIGHTS = RANDOM.normal(size=(2, 3, 3, 3)).astype(np.float32)
FIRST_WEIGHTS = RANDOM.normal(size=(4, 2, 3, 3)).astype(np.float32)
SECOND_WEIGHTS = RANDOM.normal(size=(4, 4, 3, 3)).astype(np.float32)
MATRIX = RANDOM.normal(size=(4, 5)).astype(np.float32)
BIASES = {count: RANDOM.normal(size=count).astype(np.float32) for count in (2, 4)}
GAINS = {count: RANDOM.uniform(0.5, 1.5, count).astype(np.float32) for count in (2, 4)}
SHIFTS = {count: RANDOM.normal(size=count).astype(np.float32) for count in (2, 4)}


def convolution_bytes(weights: np.ndarray, stride: int, padding: int) -> bytes:
    filters, _, rows, columns = weights.shape
    parameters = np.concatenate([weights.ravel(), BIASES[filters]])
    window = b"".join(map(integer, (rows, columns, stride, stride, padding, padding)))
    views = alias(*weights.shape) + alias(1, filters, 1, 1)
    multipliers = b"".join(map(floating, (1.0, 1.0, 1.0, 0.0)))
    convolution = text("con_4") + tensor(parameters, len(parameters), 1, 1, 1) + integer(filters) + window
    affine = np.concatenate([GAINS[filters], SHIFTS[filters]])
    affine_views = alias(1, filters, 1, 1) * 2 + integer(0)
    normalisation = text("affine_") + tensor(affine, len(affine), 1, 1, 1) + affine_views
    return convolution + views + multipliers + normalisation


def pool_bytes(kind: str, size: int, stride: int) -> bytes:
    return text(kind) + b"".join(map(integer, (size, size, stride, stride, 0, 0)))


def network_bytes() -> bytes:
    source = text("input_rgb_image_sized") + b"".join(map(floating, MEAN)) + integer(SIZE) * 2
    stem = convolution_bytes(STEM_WEIGHTS, 2, 0) + text("relu_") + pool_bytes("max_pool_2", 3, 2)
    block = convolution_bytes(FIRST_WEIGHTS, 2, 0) + text("relu_") + convolution_bytes(SECOND_WEIGHTS, 1, 1)
    shortcut = pool_bytes("avg_pool_2", 2, 2) + text("add_prev_") + text("relu_")
    matrix = text("fc_2") + integer(5) + integer(4) + tensor(MATRIX, 4, 5, 1, 1)
    head = pool_bytes("avg_pool_2", 0, 1) + matrix + alias(4, 5, 1, 1) + alias(0, 0, 0, 0) + integer(1)
    return text("loss_metric_2") + floating(0.04) + floating(0.6) + source + stem + block + shortcut + head


def convolve(image: np.ndarray, weights: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Convolution, bias and affine layer of one image [channels, rows, columns]."""
    filters, _, rows, columns = weights.shape
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), (1, 2))[:, ::stride, ::stride]
    sums = np.einsum("cyxij,fcij->fyx", windows, weights.astype(np.float64)) + BIASES[filters][:, None, None]
    return sums * GAINS[filters][:, None, None] + SHIFTS[filters][:, None, None]


def pool(image: np.ndarray, size: int, stride: int, reduce) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), (1, 2))[:, ::stride, ::stride]
    return reduce(windows, axis=(3, 4))


def expected_descriptor(image: np.ndarray) -> np.ndarray:
    """The small network in dlib's own order of operations, from RGB 0..255."""
    normalised = (image - np.array(MEAN)[:, None, None]) / 256
    stem = pool(np.maximum(convolve(normalised, STEM_WEIGHTS, 2, 0), 0), 3, 2, np.max)
    main = convolve(np.maximum(convolve(stem, FIRST_WEIGHTS, 2, 0), 0), SECOND_WEIGHTS, 1, 1)
    shortcut = pool(stem, 2, 2, np.mean)
    assert (stem.shape, main.shape, shortcut.shape) == ((2, 4, 4), (4, 1, 1), (2, 2, 2))
    total = np.zeros((4, 2, 2))
    total[:, :1, :1] += main
    total[:2] += shortcut
    return np.maximum(total, 0).mean((1, 2)) @ MATRIX


def test_layers_are_read_in_execution_order():
    layers = read_dlib_network(network_bytes())
    plan = (
        "Loss Input Convolution Affine Relu MaxPool Convolution Affine Relu Convolution Affine "
        "AveragePool AddPrevious Relu AveragePool FullyConnected"
    )
    assert [type(layer).__name__ for layer in layers] == plan.split()
    assert layers[1] == Input(MEAN, (SIZE, SIZE))
    assert layers[2].window.stride == (2, 2)
    assert layers[9].window.padding == (1, 1)


def test_a_layer_name_inside_of_weights_is_not_a_layer():
    name = text("relu_").ljust(8, b"\0")
    weights = np.frombuffer(name, "<f4")
    matrix = text("fc_2") + integer(1) + integer(2) + tensor(weights, 2, 1, 1, 1)
    layers = read_dlib_network(matrix + alias(2, 1, 1, 1) + alias(0, 0, 0, 0) + integer(1))
    assert [type(layer).__name__ for layer in layers] == ["FullyConnected"]


def test_the_converted_network_computes_what_dlib_computes():
    model = convert_recogniser(network_bytes())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).uniform(0, 255, (2, 3, SIZE, SIZE))
    found = session.run(["descriptor"], {"image": (images / 255).astype(np.float32)})[0]
    np.testing.assert_allclose(found, [expected_descriptor(image) for image in images], rtol=1e-4, atol=1e-4)


def test_layers_out_of_plan_are_refused():
    stem_only = network_bytes().replace(text("max_pool_2"), text("avg_pool_2"), 1)
    with pytest.raises(UnexpectedLayer, match="expected MaxPool, found AveragePool"):
        convert_recogniser(stem_only)
