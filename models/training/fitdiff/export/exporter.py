"""Export of a trained recipe: writes every graph of the generator, checks it, and completes the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from fitdiff.export.bundle import NetworkEntry, read_manifest, update_manifest
from fitdiff.export.check import check_forward, check_gradient
from fitdiff.export.meanings import (
    DECODER_MEANINGS,
    IRIS_MEANINGS,
    LOSS_MEANINGS,
    MAPS,
    REGRESSOR_MEANINGS,
    SHAPE_MEANINGS,
    UNET_MEANINGS,
    with_gradients,
)
from fitdiff.export.onnx_export import (
    DECODER_OUTPUTS,
    IRIS_INPUTS,
    IRIS_OUTPUTS,
    REGRESSOR_INPUTS,
    REGRESSOR_OUTPUTS,
    UNET_INPUTS,
    UNET_OUTPUTS,
    ReflectanceDecoder,
    export_module,
    iris_example,
    regressor_example,
    unet_example,
)
from fitdiff.export.recogniser_loss import LOSSES, TARGET_PREFIX, recogniser_features, recogniser_loss
from fitdiff.export.shape_decoder import TemplateVertices, read_template, shape_decoder
from fitdiff.export.vjp import GRADIENT_PREFIX, SEED_PREFIX, input_vjp
from fitdiff.export.weights import share_weights, store_half
from fitdiff.faces.template import load_template
from fitdiff.learning.autoencoder import Decoder
from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.conditioning import EMBEDDING_SIZE
from fitdiff.learning.config import RecipeConfig
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.iris_reader import IrisReader
from fitdiff.learning.latents import LatentStatistics
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS
from fitdiff.learning.regressor import Regressor
from fitdiff.learning.schedule import Schedule
from fitdiff.learning.unet import JointUNet

GRADIENT_TOLERANCE = 1e-4
"""Largest accepted relative error of a gradient graph against autograd, with float32 weights."""
HALF_GRADIENT_TOLERANCE = 3e-2
"""The same with weights stored in fp16."""
RECOGNISER = "recogniser.onnx"


@dataclass(frozen=True)
class TrainedModel:
    """What an export needs."""

    unet: JointUNet
    decoder: Decoder
    latents: LatentStatistics
    schedule: Schedule
    template: Path
    """Folder with the template head's file and description."""


def export_bundle(config: RecipeConfig, model: TrainedModel, folder: Path) -> dict[str, Any]:
    """Write all graphs to the bundle's folder, check them against PyTorch, and complete its manifest.

    The folder must hold the face recogniser (`recogniser.onnx`), whose file the loss graphs refer to.

    Returns:
        The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recogniser = folder / RECOGNISER
    if not recogniser.is_file():
        raise RecipeError(f"{recogniser} does not exist; put the face networks into the bundle's folder first")
    licence = config.export.licence
    writer = _Writer(folder, licence)

    unet = model.unet
    example = unet_example(unet, config.export.unet_batch)
    gradients = ("reflectance", "shape") if config.export.unet_vjp else ()
    writer.network("unet", unet, example, UNET_INPUTS, UNET_OUTPUTS, UNET_MEANINGS, gradients)

    decoder = ReflectanceDecoder(model.decoder, model.latents).eval()
    latent = torch.randn(1, *unet.reflectance_shape, generator=torch.Generator().manual_seed(0))
    writer.network(
        "reflectance_decoder", decoder, (latent,), ("latent",), DECODER_OUTPUTS, DECODER_MEANINGS, ("latent",)
    )
    template = writer.shape_decoder(model.template, unet.shape_coefficients)
    writer.recogniser(recogniser)
    return update_manifest(
        folder,
        config.name,
        config.export.version,
        licence,
        writer.networks,
        {"template": template, "generator": _generator_section(config, model)},
    )


def export_head(template: Path, folder: Path) -> dict[str, Any]:
    """Put another template head, with the same shape components, into a bundle that is complete.

    Only the head's file and the shape decoder are written; nothing needs to be trained.

    Args:
        template: folder with the template head's file and description.
        folder: the bundle's.

    Returns:
        The manifest.

    Raises:
        RecipeError: the bundle is not complete, or the head has another number of shape components.
    """
    manifest = read_manifest(folder)
    if "generator" not in manifest:
        raise RecipeError(f"{folder} has no generator; export the whole bundle first")
    name, version, licence = (manifest[key] for key in ("id", "version", "licence"))
    writer = _Writer(folder, manifest["networks"]["shape_decoder"]["licence"])
    description = writer.shape_decoder(template, manifest["generator"]["shape_latent"]["coefficients"])
    return update_manifest(folder, name, version, licence, writer.networks, {"template": description})


def export_regressor(regressor: Regressor, folder: Path) -> dict[str, Any]:
    """Put a regressor into a bundle that is complete; returns the manifest.

    Raises:
        RecipeError: the bundle has no generator.
    """
    example = regressor_example()
    return _add_reader(folder, "regressor", regressor, example, REGRESSOR_INPUTS, REGRESSOR_OUTPUTS, REGRESSOR_MEANINGS)


def export_iris_reader(reader: IrisReader, folder: Path) -> dict[str, Any]:
    """Put a reader of iris colours into a bundle that is complete; returns the manifest.

    Raises:
        RecipeError: the bundle has no generator.
    """
    return _add_reader(folder, "iris_reader", reader, iris_example(), IRIS_INPUTS, IRIS_OUTPUTS, IRIS_MEANINGS)


def _add_reader(
    folder: Path,
    role: str,
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    meanings: dict[str, str],
) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if "generator" not in manifest:
        raise RecipeError(f"{folder} has no generator; export the whole bundle first")
    name, version, licence = (manifest[key] for key in ("id", "version", "licence"))
    writer = _Writer(folder, manifest["networks"]["shape_decoder"]["licence"])
    writer.network(role, module, example, inputs, outputs, meanings, ())
    generator = manifest["generator"]
    generator["networks"][role] = role
    return update_manifest(folder, name, version, licence, writer.networks, {"generator": generator})


def _generator_section(config: RecipeConfig, model: TrainedModel) -> dict[str, Any]:
    """What sampling, decoding and guidance need to know."""
    unet = model.unet
    roles = ("unet", "reflectance_decoder", "reflectance_decoder_vjp", "shape_decoder", "shape_decoder_vjp")
    return {
        "version": config.export.version,
        "licence": config.export.licence,
        "embedding_size": EMBEDDING_SIZE,
        "reflectance_latent": {"shape": list(unet.reflectance_shape), "scale": 1.0},
        "shape_latent": {"coefficients": unet.shape_coefficients, "scale": 1.0},
        "schedule": model.schedule.describe(),
        "guidance_scale": config.evaluation.guidance_scale,
        "temperature": dict(zip(("reflectance", "shape"), config.evaluation.temperature, strict=True)),
        "networks": {role: role for role in (*roles, "recogniser_features", "recogniser_loss")},
        "perceptual_layers": list(PERCEPTUAL_LAYERS),
        "losses": list(LOSSES),
        "prefixes": {"seed": SEED_PREFIX, "gradient": GRADIENT_PREFIX, "target": TARGET_PREFIX},
        "maps": {name: {"size": config.data.map_size, **description} for name, description in MAPS.items()},
    }


class _Writer:
    """Exports, checks and writes graphs, and collects their manifest entries."""

    def __init__(self, folder: Path, licence: str) -> None:
        self.folder, self.licence = folder, licence
        self.networks: dict[str, NetworkEntry] = {}

    def network(
        self,
        name: str,
        module: nn.Module,
        example: Sequence[Tensor],
        inputs: Sequence[str],
        outputs: Sequence[str],
        meanings: dict[str, str],
        gradients: Sequence[str],
    ) -> None:
        """Write a network, and its gradient graph with respect to `gradients`."""
        forward = export_module(module, example, inputs, outputs, name)
        content = store_half(forward).SerializeToString()
        path = self._write(f"{name}.onnx", content)
        check_forward(path, module, example, inputs, outputs)
        self.networks[name] = NetworkEntry(path.name, meanings, self.licence)
        if not gradients:
            return
        vjp = input_vjp(forward, gradients)
        single = self._write(f".{name}_vjp_check.onnx", vjp.SerializeToString())
        try:
            check_gradient(single, module, example, inputs, outputs, gradients, GRADIENT_TOLERANCE)
        finally:
            single.unlink()
        shared = share_weights(store_half(vjp), content, path.name)
        gradient_path = self._write(f"{name}_vjp.onnx", shared.SerializeToString())
        check_gradient(gradient_path, module, example, inputs, outputs, gradients, HALF_GRADIENT_TOLERANCE)
        self.networks[f"{name}_vjp"] = NetworkEntry(
            gradient_path.name, with_gradients(meanings, gradients, outputs), self.licence, weights=path.name
        )

    def shape_decoder(self, template: Path, coefficients: int) -> dict[str, Any]:
        """Copy the template head, write the graphs that refer to it, and return its description."""
        description, content = read_template(template)
        if description["components"] != coefficients:
            raise RecipeError(
                f"{template}: expected {coefficients} shape components, found {description['components']}; "
                "write the template again"
            )
        location = self._write(description["file"]["path"], content).name
        forward = shape_decoder(description, content)
        path = self._write("shape_decoder.onnx", share_weights(forward, content, location).SerializeToString())
        module = TemplateVertices(load_template(self.folder / location, description))
        code = (torch.randn(1, coefficients, generator=torch.Generator().manual_seed(0)),)
        names = ("shape",), ("vertices",)
        check_forward(path, module, code, *names)
        self.networks["shape_decoder"] = NetworkEntry(path.name, SHAPE_MEANINGS, self.licence, weights=location)

        shared = share_weights(input_vjp(forward, ["shape"]), content, location)
        path = self._write("shape_decoder_vjp.onnx", shared.SerializeToString())
        check_gradient(path, module, code, *names, ("shape",), GRADIENT_TOLERANCE)
        self.networks["shape_decoder_vjp"] = NetworkEntry(
            path.name, with_gradients(SHAPE_MEANINGS, *names), self.licence, weights=location
        )
        return description

    def recogniser(self, path: Path) -> None:
        """Write the recogniser's feature and loss graphs, which refer to the recogniser's file."""
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
        entry = read_manifest(self.folder).get("networks", {}).get("recogniser", {})
        licence = entry.get("licence", "CC0-1.0")
        for name, graph in (
            ("recogniser_features", recogniser_features(model)),
            ("recogniser_loss", recogniser_loss(model)),
        ):
            shared = share_weights(store_half(graph), content, path.name)
            written = self._write(f"{name}.onnx", shared.SerializeToString())
            self.networks[name] = NetworkEntry(
                written.name,
                LOSS_MEANINGS,
                licence,
                origin="derived from the bundle's recogniser by the recipe in models/training",
                weights=path.name,
            )

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        with atomic_write(path) as file:
            file.write(content)
        return path
