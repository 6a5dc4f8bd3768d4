"""Forward graphs of the trained networks: denoiser and reflectance decoder.

Every graph has opset 18, static shapes and float32 inputs and outputs. What the runtime would otherwise have to know
about a network's internals is inside of its graph: the embedding's standardisation and the null embedding in the
denoiser, and the latents' mean and scale and the maps' encoding in the decoder.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch
from torch import Tensor, nn

from fitdiff.export.graph import IR_VERSION, OPSET, constants_to_initialisers
from fitdiff.faces.dataset import F0_MAX, LANDMARK_COUNT
from fitdiff.learning.autoencoder import Decoder
from fitdiff.learning.conditioning import EMBEDDING_SIZE
from fitdiff.learning.latents import LatentStatistics
from fitdiff.learning.recogniser import CHIP_SIZE, PERCEPTUAL_LAYERS
from fitdiff.learning.unet import JointUNet

SMALLEST_NORMAL_Z_SQUARED = 1e-2
"""Lower bound of 1 - x^2 - y^2 in the decoder, which keeps its gradient finite."""

UNET_INPUTS = ("reflectance", "shape", "timestep", "embedding", "conditional")
UNET_OUTPUTS = ("reflectance_prediction", "shape_prediction")
DECODER_OUTPUTS = ("diffuse", "specular", "normals")
REGRESSOR_INPUTS = ("descriptor", *PERCEPTUAL_LAYERS, "landmarks", "rotation", "chip", "places")
REGRESSOR_OUTPUTS = ("shape", "shape_deviation", "diffuse", "diffuse_deviation")
IRIS_INPUTS = ("chip", "places")
IRIS_OUTPUTS = ("iris",)


class ReflectanceDecoder(nn.Module):
    """Standardised latents [1,C,h,w] to maps in physical encodings.

    Returns diffuse albedo [1,3,S,S] (sRGB-encoded, nominally 0..1, not clipped), specular albedo [1,1,S,S] (F0, linear)
    and tangent-space normals [1,3,S,S] (OpenGL Y+; unit length where x and y allow it).
    """

    def __init__(self, decoder: Decoder, statistics: LatentStatistics) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("latent_mean", statistics.mean.reshape(1, -1, 1, 1).clone())
        self.register_buffer("latent_scale", statistics.scale.reshape(1, -1, 1, 1).clone())

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        diffuse, specular, xy = self.decoder(latents * self.latent_scale + self.latent_mean)
        z = (1 - (xy * xy).sum(dim=1, keepdim=True)).clamp_min(SMALLEST_NORMAL_Z_SQUARED).sqrt()
        return diffuse * 0.5 + 0.5, specular * (0.5 * F0_MAX) + 0.5 * F0_MAX, torch.cat([xy, z], dim=1)


def unet_example(unet: JointUNet, batch: int) -> tuple[Tensor, ...]:
    """Example inputs of the denoiser, in the order of its arguments."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return (
        normal(batch, *unet.reflectance_shape),
        normal(batch, unet.shape_coefficients),
        torch.linspace(100.0, 900.0, batch),
        0.1 * normal(batch, EMBEDDING_SIZE),
        (torch.arange(batch) % 2 == 0).float(),
    )


def regressor_example() -> tuple[Tensor, ...]:
    """Example inputs of the regressor, in the order of its arguments."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    activations = (normal(1, 32, 35, 35), normal(1, 64, 17, 17), normal(1, 128, 8, 8))
    offsets = 0.003 * normal(1, LANDMARK_COUNT, 3)
    chip = torch.rand(1, 3, CHIP_SIZE, CHIP_SIZE, generator=generator)
    places = CHIP_SIZE * torch.rand(1, LANDMARK_COUNT, 2, generator=generator)
    embedding, rotation = 0.1 * normal(1, EMBEDDING_SIZE), 0.1 * normal(1, 3)
    return (embedding, *(value.abs() for value in activations), offsets, rotation, chip, places)


def iris_example() -> tuple[Tensor, ...]:
    """Example inputs of the iris reader, in the order of its arguments."""
    return regressor_example()[-2:]


def export_module(
    module: nn.Module, example: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str], name: str
) -> onnx.ModelProto:
    """Export a module for the example's shapes; initialisers carry the names of the module's state_dict."""
    module = module.eval().requires_grad_(False)
    # The exporter reports its progress on stdout and through loggers; errors are raised.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                tuple(example),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                optimize=True,
                verbose=False,
            )
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    model = constants_to_initialisers(program.model_proto)
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:], model.graph.value_info[:], model.functions[:]
    model.graph.name, model.graph.doc_string = name, ""
    model.producer_name, model.ir_version = "fitdiff", IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
