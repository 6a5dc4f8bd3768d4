"""What the values at the networks' borders mean, in the words of the bundle's manifest."""

from __future__ import annotations

from collections.abc import Sequence

from fitdiff.export.vjp import GRADIENT_PREFIX, SEED_PREFIX
from fitdiff.faces.dataset import F0_MAX
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS

UNET_MEANINGS = {
    "reflectance": "noised reflectance latents, NCHW; clean ones have zero mean and unit variance per channel",
    "shape": "noised shape coefficients; clean ones have zero mean and unit variance",
    "timestep": "number of the training step, 0 to train_timesteps - 1",
    "embedding": "identity embedding as the recogniser gives it, not normalised; ignored where `conditional` is 0",
    "conditional": "1: use the embedding; 0: unconditional (the learned null embedding)",
    "reflectance_prediction": "prediction for the reflectance latents, of the schedule's prediction type",
    "shape_prediction": "prediction for the shape coefficients, of the schedule's prediction type",
}

DECODER_MEANINGS = {
    "latent": "clean reflectance latents, zero mean and unit variance per channel, NCHW",
    "diffuse": "diffuse albedo RGB, NCHW, sRGB-encoded, nominally 0 to 1, not clipped",
    "specular": f"specular albedo: F0 at normal incidence, NCHW, linear, nominally 0 to {F0_MAX}, not clipped",
    "normals": "tangent-space normals xyz, NCHW, MikkTSpace, OpenGL Y+, -1 to 1, unit length up to the bound on z",
}

SHAPE_MEANINGS = {
    "shape": "clean shape coefficients, zero mean and unit variance",
    "vertices": "head vertices xyz in metres, in the template head's order and axes",
}

LOSS_MEANINGS = {
    "image": "aligned face chip, NCHW RGB, sRGB-encoded, 0 to 1",
    "descriptor": "identity embedding of the image",
    "target_descriptor": "identity embedding to come near to",
    "identity_loss": "squared Euclidean distance of the embeddings",
    "perceptual_loss": "squared distance of inner activations over the target's mean square, averaged over layers",
    "seed_identity_loss": "guidance weight of the identity loss",
    "seed_perceptual_loss": "guidance weight of the perceptual loss",
    "grad_image": "gradient of the weighted sum of the losses with respect to the image",
    **{layer: f"inner activation `{layer}`, NCHW" for layer in PERCEPTUAL_LAYERS},
    **{f"target_{layer}": f"activation `{layer}` of the image to come near to" for layer in PERCEPTUAL_LAYERS},
}

REGRESSOR_MEANINGS = {
    "descriptor": "identity embedding of the photo's chip",
    **{layer: f"the recogniser's inner activation `{layer}` of it, NCHW" for layer in PERCEPTUAL_LAYERS},
    "landmarks": "landmarks after the similarity to the template's, as offsets from these: metres, in its axes",
    "rotation": "rotation from the head to the camera by that similarity: axis times angle, radians",
    "chip": "the chip RGB, NCHW, sRGB-encoded, 0 to 1",
    "places": "landmarks in pixels of the chip; the centre of the first one is (0, 0)",
    "shape": "shape coefficients of the person",
    "shape_deviation": "their standard deviations",
    "diffuse": "diffuse albedo RGB, NCHW, sRGB-encoded, 0 to 1: means over squares of the map's texels, not clipped",
    "diffuse_deviation": "its standard deviation, of all channels",
}

IRIS_MEANINGS = {
    **{name: REGRESSOR_MEANINGS[name] for name in ("chip", "places")},
    "iris": "linear RGB reflectance of the irises: a weighted geometric mean of human iris colours",
}

MAPS = {
    "diffuse": {"output": "diffuse", "channels": 3, "colour_space": "srgb", "range": [0.0, 1.0]},
    "specular": {"output": "specular", "channels": 1, "colour_space": "linear", "range": [0.0, F0_MAX]},
    "normals": {"output": "normals", "channels": 3, "colour_space": "linear", "range": [-1.0, 1.0]},
}
"""Nominal range of each decoded map; `diffuse` is decoded to linear reflectance by the sRGB curve."""


def with_gradients(meanings: dict[str, str], inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Meanings of a gradient graph: the forward's, the outputs' seeds and the inputs' gradients."""
    seeds = {f"{SEED_PREFIX}{name}": f"cotangent of `{name}`" for name in outputs}
    gradients = {
        f"{GRADIENT_PREFIX}{name}": f"gradient of the outputs' product with their cotangents by `{name}`"
        for name in inputs
    }
    return meanings | seeds | gradients
