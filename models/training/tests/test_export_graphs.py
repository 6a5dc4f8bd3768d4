"""Exported networks against PyTorch, weight storage, the recogniser's losses and the manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from learning_support import RECOGNISER, randomise, toy_config, write_toy_template
from onnx import TensorProto, helper, numpy_helper

from fitdiff.export.bundle import NetworkEntry, update_manifest
from fitdiff.export.check import check_forward, check_gradient, relative_error, run_file
from fitdiff.export.exporter import export_head
from fitdiff.export.graph import OPSET, GraphError
from fitdiff.export.onnx_export import (
    DECODER_OUTPUTS,
    UNET_INPUTS,
    UNET_OUTPUTS,
    ReflectanceDecoder,
    export_module,
    unet_example,
)
from fitdiff.export.recogniser_loss import recogniser_features, recogniser_loss
from fitdiff.export.shape_decoder import TemplateVertices, read_template, shape_decoder
from fitdiff.export.vjp import input_vjp
from fitdiff.export.weights import restore_single, share_weights, store_half
from fitdiff.faces.template import load_template
from fitdiff.learning.autoencoder import Decoder
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.latents import LatentStatistics
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS, Recogniser
from fitdiff.learning.train_diffusion import build_unet

needs_recogniser = pytest.mark.skipif(not RECOGNISER.exists(), reason="the bundle's recogniser is not built")


@pytest.fixture(scope="module")
def decoder() -> ReflectanceDecoder:
    settings = toy_config().autoencoder
    network = Decoder(
        settings.latent_channels, 4, settings.trunk_widths, settings.branch_widths, settings.branch_blocks
    )
    statistics = LatentStatistics(torch.linspace(-1, 1, 4), torch.linspace(0.5, 2, 4))
    return ReflectanceDecoder(randomise(network), statistics).eval()


@pytest.fixture(scope="module")
def decoder_graph(decoder: ReflectanceDecoder) -> onnx.ModelProto:
    return export_module(decoder, (torch.randn(1, 4, 4, 4),), ("latent",), DECODER_OUTPUTS, "reflectance_decoder")


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_the_decoder_and_its_gradient_match_pytorch(decoder, decoder_graph, tmp_path: Path) -> None:
    latent = (torch.randn(1, 4, 4, 4),)
    forward = save(decoder_graph, tmp_path / "forward.onnx")
    errors = check_forward(forward, decoder, latent, ("latent",), DECODER_OUTPUTS)
    assert max(errors.values()) < 1e-5
    vjp = save(input_vjp(decoder_graph, ["latent"]), tmp_path / "vjp.onnx")
    check_gradient(vjp, decoder, latent, ("latent",), DECODER_OUTPUTS, ("latent",), 1e-4)


def test_the_denoiser_and_its_gradients_match_pytorch(tmp_path: Path) -> None:
    unet = randomise(build_unet(toy_config(), 120))
    unet.conditioning.set_statistics(torch.full((128,), 0.01), 0.05, 0.5)
    example = unet_example(unet, 2)
    model = export_module(unet, example, UNET_INPUTS, UNET_OUTPUTS, "unet")
    forward = save(model, tmp_path / "unet.onnx")
    assert max(check_forward(forward, unet, example, UNET_INPUTS, UNET_OUTPUTS).values()) < 1e-5
    wrt = ("reflectance", "shape", "embedding")
    vjp = save(input_vjp(model, wrt), tmp_path / "vjp.onnx")
    check_gradient(vjp, unet, example, UNET_INPUTS, UNET_OUTPUTS, wrt, 1e-4)


def test_the_exported_graph_is_what_both_runtimes_take(decoder_graph: onnx.ModelProto) -> None:
    assert [entry.version for entry in decoder_graph.opset_import] == [OPSET]
    for value in (*decoder_graph.graph.input, *decoder_graph.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
        assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)
        assert value.name != "t"
    names = {tensor.name for tensor in decoder_graph.graph.initializer}
    assert "decoder.enter.weight" in names


def test_the_shape_decoder_is_the_templates_linear_model(tmp_path: Path) -> None:
    write_toy_template(tmp_path)
    description, content = read_template(tmp_path)
    forward = shape_decoder(description, content)
    path = save(share_weights(forward, content, "template.bin"), tmp_path / "shape.onnx")
    assert path.stat().st_size < 10_000
    code = np.random.default_rng(1).standard_normal((1, 120)).astype(np.float32)
    template = load_template(tmp_path)
    np.testing.assert_allclose(
        run_file(path, {"shape": code})["vertices"][0], template.vertices(code[0]), rtol=1e-4, atol=1e-6
    )
    vjp = save(share_weights(input_vjp(forward, ["shape"]), content, "template.bin"), tmp_path / "vjp.onnx")
    module = TemplateVertices(template)
    check_gradient(vjp, module, (torch.from_numpy(code),), ("shape",), ("vertices",), ("shape",), 1e-5)
    with pytest.raises(RecipeError, match="does not exist"):
        read_template(tmp_path / "nowhere")


def test_another_head_with_the_same_components_goes_into_a_complete_bundle(tmp_path: Path) -> None:
    heads, bundle = [tmp_path / name for name in ("first", "second", "other")], tmp_path / "bundle"
    bundle.mkdir()
    for folder, vertices, components in zip(heads, (300, 360, 300), (120, 120, 60), strict=True):
        folder.mkdir()
        write_toy_template(folder, components, vertices)
    with pytest.raises(RecipeError, match="has no generator"):
        export_head(heads[0], bundle)
    entry = {"licence": "CC0-1.0"}
    manifest = {"format": 1, "id": "toy", "version": "3", "licence": "MIT", "networks": {"shape_decoder": entry}}
    manifest |= {"generator": {"shape_latent": {"coefficients": 120}}, "others": 1}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    export_head(heads[0], bundle)
    written = export_head(heads[1], bundle)
    assert written["template"]["vertices"] == 360 and written["others"] == 1 and written["version"] == "3"
    assert written["networks"]["shape_decoder"]["outputs"][0]["shape"] == [1, 360, 3]
    assert written["networks"]["shape_decoder_vjp"]["licence"] == "CC0-1.0"
    code = np.random.default_rng(2).standard_normal((1, 120)).astype(np.float32)
    vertices = run_file(bundle / "shape_decoder.onnx", {"shape": code})["vertices"][0]
    np.testing.assert_allclose(vertices, load_template(heads[1]).vertices(code[0]), rtol=1e-4, atol=1e-6)
    with pytest.raises(RecipeError, match="expected 120 shape components, found 60"):
        export_head(heads[2], bundle)


def test_half_storage_rounds_the_weights_and_nothing_else(decoder, decoder_graph, tmp_path: Path) -> None:
    stored = store_half(decoder_graph)
    path = save(stored, tmp_path / "half.onnx")
    assert path.stat().st_size < 0.7 * save(decoder_graph, tmp_path / "single.onnx").stat().st_size
    latent = np.random.default_rng(0).standard_normal((1, 4, 4, 4)).astype(np.float32)
    half = run_file(path, {"latent": latent})
    restored = run_file(save(restore_single(stored), tmp_path / "restored.onnx"), {"latent": latent})
    single = run_file(tmp_path / "single.onnx", {"latent": latent})
    for name in DECODER_OUTPUTS:
        np.testing.assert_array_equal(half[name], restored[name])
        assert relative_error(half[name], single[name]) < 5e-3


def test_weights_that_do_not_fit_half_precision_are_refused() -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64]) for name in "xy"]
    weights = numpy_helper.from_array(np.full(64, 1e6, np.float32), "w")
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weights]))
    with pytest.raises(GraphError, match="'w' do not fit"):
        store_half(model)
    assert store_half(model, keep=("w",)).graph.initializer[0].data_type == TensorProto.FLOAT


def test_forward_and_gradient_share_the_forwards_file(decoder_graph, tmp_path: Path) -> None:
    content = store_half(decoder_graph).SerializeToString()
    (tmp_path / "decoder.onnx").write_bytes(content)
    vjp = store_half(input_vjp(decoder_graph, ["latent"], keep=DECODER_OUTPUTS))
    shared = save(share_weights(vjp, content, "decoder.onnx"), tmp_path / "shared.onnx")
    own = save(vjp, tmp_path / "own.onnx")
    assert shared.stat().st_size < 0.4 * own.stat().st_size
    rng = np.random.default_rng(1)
    feeds = {
        value.name: rng.standard_normal([dim.dim_value for dim in value.type.tensor_type.shape.dim]).astype(np.float32)
        for value in vjp.graph.input
    }
    expected, found = run_file(own, feeds), run_file(shared, feeds)
    forward = run_file(tmp_path / "decoder.onnx", feeds)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    for name in DECODER_OUTPUTS:
        np.testing.assert_allclose(found[name], forward[name], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def loss_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loss")
    model = onnx.load(str(RECOGNISER))
    save(recogniser_features(model), folder / "features.onnx")
    save(recogniser_loss(model), folder / "loss.onnx")
    return folder


def images() -> tuple[np.ndarray, np.ndarray]:
    """Two smooth random pictures with a little grain: flat areas would tie in the recogniser's max pooling."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 1, (2, 3, 10, 10)))
    smooth = torch.nn.functional.interpolate(coarse, size=150, mode="bilinear").numpy()
    grainy = (0.1 + 0.8 * smooth + 0.02 * rng.standard_normal(smooth.shape)).astype(np.float32)
    return grainy[:1], grainy[1:]


@needs_recogniser
def test_features_are_those_of_the_recogniser(loss_files: Path) -> None:
    image, _ = images()
    found = run_file(loss_files / "features.onnx", {"image": image})
    np.testing.assert_allclose(found["descriptor"], run_file(RECOGNISER, {"image": image})["descriptor"], atol=1e-5)
    expected = Recogniser(RECOGNISER)(torch.from_numpy(image), ("descriptor", *PERCEPTUAL_LAYERS))
    for name, value in zip(("descriptor", *PERCEPTUAL_LAYERS), expected, strict=True):
        np.testing.assert_allclose(found[name], value.numpy(), atol=1e-4)


@needs_recogniser
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.7, 0.2)])
def test_loss_gradient_matches_central_differences(loss_files: Path, weights: tuple[float, float]) -> None:
    image, other = images()
    targets = run_file(loss_files / "features.onnx", {"image": other})
    feeds = {f"target_{name}": value for name, value in targets.items()}
    for name, weight in zip(("identity", "perceptual"), weights, strict=True):
        feeds[f"seed_{name}_loss"] = np.asarray([weight], np.float32)

    network = Recogniser(RECOGNISER)
    names = ("descriptor", *PERCEPTUAL_LAYERS)
    network._apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    wanted = network(torch.from_numpy(other).double(), names)

    def loss(value: np.ndarray) -> float:
        """The documented formulas in double precision, where a step can be so small that no ReLU switches."""
        found = network(torch.from_numpy(value), names)
        identity = (found[0] - wanted[0]).square().sum()
        layers = [((a - b).square().mean() / b.square().mean()) for a, b in zip(found[1:], wanted[1:], strict=True)]
        return float(weights[0] * identity + weights[1] * sum(layers) / len(layers))

    found = run_file(loss_files / "loss.onnx", feeds | {"image": image})
    gradient, image = found["grad_image"].astype(np.float64), image.astype(np.float64)
    combined = weights[0] * found["identity_loss"][0] + weights[1] * found["perceptual_loss"][0]
    assert combined == pytest.approx(loss(image), rel=1e-4)
    rng = np.random.default_rng(3)
    for direction in (gradient / np.linalg.norm(gradient), *rng.standard_normal((3, *image.shape))):
        step = 1e-6
        slope = (loss(image + step * direction) - loss(image - step * direction)) / (2 * step)
        assert slope == pytest.approx((gradient * direction).sum(), rel=0, abs=1e-3 * np.linalg.norm(gradient))


@needs_recogniser
def test_losses_vanish_on_the_target_itself(loss_files: Path) -> None:
    image, _ = images()
    targets = run_file(loss_files / "features.onnx", {"image": image})
    feeds = {"image": image, **{f"target_{name}": value for name, value in targets.items()}}
    feeds |= {f"seed_{name}_loss": np.ones(1, np.float32) for name in ("identity", "perceptual")}
    found = run_file(loss_files / "loss.onnx", feeds)
    assert found["identity_loss"][0] < 1e-10
    assert found["perceptual_loss"][0] < 1e-8


def entry(folder: Path) -> NetworkEntry:
    node = helper.make_node("Neg", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    save(helper.make_model(helper.make_graph([node], "g", values[:1], values[1:])), folder / "neg.onnx")
    return NetworkEntry("neg.onnx", {"x": "in", "y": "out"}, "MIT", weights="other")


def test_the_manifest_keeps_what_others_wrote(tmp_path: Path) -> None:
    before = {
        "format": 1,
        "id": "base",
        "version": "1.2.3",
        "licence": "MIT",
        "networks": {"recogniser": {"anything": [1, 2]}},
        "face": {"detectors": []},
    }
    (tmp_path / "bundle.json").write_text(json.dumps(before))
    update_manifest(tmp_path, "small", "9.9.9", "X", {"neg": entry(tmp_path)}, {"generator": {"schedule": 1}})
    after = json.loads((tmp_path / "bundle.json").read_text())
    added = after["networks"].pop("neg")
    assert after.pop("generator") == {"schedule": 1}
    assert after == before
    assert added["file"]["bytes"] == (tmp_path / "neg.onnx").stat().st_size
    assert added["inputs"] == [{"name": "x", "dtype": "f32", "shape": [2, 3], "meaning": "in"}]
    assert added["weights"] == "other"


def test_an_undescribed_tensor_and_a_foreign_manifest_are_refused(tmp_path: Path) -> None:
    vague = dataclasses.replace(entry(tmp_path), meanings={"x": "in"})
    with pytest.raises(RecipeError, match="'y' is not described"):
        update_manifest(tmp_path, "a", "1", "MIT", {"neg": vague}, {})
    assert not (tmp_path / "bundle.json").exists()
    (tmp_path / "bundle.json").write_text('{"format": 7}')
    with pytest.raises(RecipeError, match="format 7"):
        update_manifest(tmp_path, "a", "1", "MIT", {"neg": entry(tmp_path)}, {})
