"""Shape and diffuse albedo of the person in a photo, by regression from what the face front-end says of it.

The identity embedding tells who it is, and little else: the denoiser, conditioned on it, draws plausible relatives. The
landmarks and the recogniser's inner activations hold more of the face's form and colours; the photo laid out as a
texture tells the albedo from its own colours. Guidance takes what is read as an observation with a known deviation,
beside the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fitdiff.learning.albedo_refiner import FACTOR, AlbedoRefiner
from fitdiff.learning.photo_features import pooled
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS
from fitdiff.learning.unwrapping import Unwrapping

KINDS = ("descriptor", "landmarks", "rotation", *PERCEPTUAL_LAYERS)
"""Kinds of features."""
RADIUS_QUANTILE = 0.99
"""Features of a kind that lie further from their mean than this quantile of the training set's are shortened to it."""
KIND_VARIANCE = 30.0
"""Sum of the variances of each kind's features: none has more say than another for having more of them."""


def principal_directions(centred: np.ndarray, count: int) -> np.ndarray:
    """The directions [D,count], of unit length, in which centred data [M,D] vary most."""
    samples, width = centred.shape
    if width <= samples:
        return np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count]
    # By the smaller of the two products of the data with themselves.
    directions = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, :count]
    return directions / np.linalg.norm(directions, axis=0)


@dataclass(frozen=True)
class Projection:
    """Principal components of one kind of features: mean [D], directions [D,K] with their scale, greatest length."""

    mean: np.ndarray
    directions: np.ndarray
    radius: float

    @classmethod
    def of(cls, features: np.ndarray, components: int) -> Projection:
        """Fit features [M,D]; directions are scaled so that the variances of the projected ones sum to
        `KIND_VARIANCE`."""
        mean = features.mean(0, dtype=np.float64)
        centred = features - mean
        principal = principal_directions(centred, components)
        total = np.square(centred @ principal).sum() / len(features)
        directions = principal * np.sqrt(KIND_VARIANCE / total)
        radius = float(np.quantile(np.linalg.norm(centred @ directions, axis=1), RADIUS_QUANTILE))
        return cls(mean.astype(np.float32), directions.astype(np.float32), radius)


class Estimator(nn.Module):
    """Projected features [B,W] to outputs [B,O]: a linear regression, and two hidden layers for what it leaves."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)
        nn.init.zeros_(self.linear.weight)
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, outputs)
        )

    def forward(self, projected: Tensor) -> Tensor:
        return self.linear(projected) + self.layers(projected)


@dataclass(frozen=True)
class RegressorSizes:
    """Sizes of a regressor.

    Attributes:
        features: number of features and of components by kind.
        shape: number of shape coefficients.
        albedo: number of components of the coarse albedo.
        albedo_size: side of the albedo map.
        hidden: width of the estimators' hidden layers.
        estimators: how many are averaged.
        refiner: widths of the albedo refiner.
    """

    features: dict[str, tuple[int, int]]
    shape: int
    albedo: int
    albedo_size: int
    hidden: int
    estimators: int
    refiner: tuple[int, ...]


class Regressor(nn.Module):
    """A photo to shape coefficients and diffuse albedo, each with its standard deviation.

    Features give the shape and a coarse albedo: the mean of several estimators that are trained alike. The photo itself
    refines the albedo.
    """

    def __init__(self, sizes: RegressorSizes) -> None:
        """Make an untrained one."""
        super().__init__()
        self.coarse = sizes.albedo_size // FACTOR
        for kind in KINDS:
            features, components = sizes.features[kind]
            self.register_buffer(f"{kind}_mean", torch.zeros(features))
            self.register_buffer(f"{kind}_directions", torch.zeros(features, components))
            self.register_buffer(f"{kind}_radius", torch.ones(1))
        width = sum(components for _, components in sizes.features.values())
        self.outputs = (sizes.shape, sizes.albedo)
        self.estimators = nn.ModuleList(
            Estimator(width, sizes.hidden, sum(self.outputs)) for _ in range(sizes.estimators)
        )
        self.register_buffer("albedo_scale", torch.ones(1))
        self.register_buffer("albedo_mean", torch.zeros(3 * self.coarse**2))
        self.register_buffer("albedo_directions", torch.zeros(sizes.albedo, 3 * self.coarse**2))
        self.unwrapping = Unwrapping(sizes.albedo_size)
        self.refiner = AlbedoRefiner(sizes.refiner, sizes.albedo_size)
        self.register_buffer("shape_deviation", torch.ones(1, sizes.shape))
        self.register_buffer("diffuse_deviation", torch.ones(1, 1, sizes.albedo_size, sizes.albedo_size))

    @classmethod
    def restore(cls, state: dict[str, Tensor]) -> Regressor:
        """The regressor of a state dict, whose tensors tell its sizes."""
        sizes = RegressorSizes(
            features={kind: tuple(state[f"{kind}_directions"].shape) for kind in KINDS},
            shape=state["shape_deviation"].shape[1],
            albedo=state["albedo_directions"].shape[0],
            albedo_size=state["diffuse_deviation"].shape[-1],
            hidden=state["estimators.0.layers.0.bias"].shape[0],
            estimators=sum(name.startswith("estimators.") and name.endswith(".linear.bias") for name in state),
            refiner=AlbedoRefiner.widths_of({name.removeprefix("refiner."): value for name, value in state.items()}),
        )
        model = cls(sizes)
        model.load_state_dict(state)
        return model.eval()

    def project(self, features: dict[str, Tensor]) -> Tensor:
        """Features [B,D] by kind to their projection [B,W]."""
        parts = []
        for kind in KINDS:
            mean, directions, radius = (getattr(self, f"{kind}_{name}") for name in ("mean", "directions", "radius"))
            part = (features[kind].flatten(1) - mean) @ directions
            length = (part.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
            parts.append(part * (radius / torch.maximum(length, radius)))
        return torch.cat(parts, dim=1)

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of an estimator as shape coefficients [B,K] and albedo components [B,A], of unit order."""
        return torch.split(outputs, self.outputs, dim=1)

    def regress(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Projected features [B,W] to shape coefficients [B,K] and albedo components [B,A]."""
        return self.split(torch.stack([estimator(projected) for estimator in self.estimators]).mean(dim=0))

    def forward(
        self,
        descriptor: Tensor,
        blk2: Tensor,
        blk6: Tensor,
        blk9: Tensor,
        landmarks: Tensor,
        rotation: Tensor,
        chip: Tensor,
        places: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is read of one photo.

        Args:
            descriptor: embedding [1,128].
            blk2, blk6, blk9: inner activations [1,C,h,w].
            landmarks, rotation: [1,478,3] and [1,3], as `photo_features.normalised_landmarks` gives them.
            chip: the photo's chip [1,3,150,150], sRGB of 0 to 1.
            places: landmarks in pixels of the chip [1,478,2].

        Returns:
            Shape coefficients [1,K], their deviations [1,K], diffuse albedo [1,3,S,S] (sRGB of 0 to 1, means over the
            finer map's texels, not clipped) and its deviation [1,1,S,S].
        """
        features = pooled({"blk2": blk2, "blk6": blk6, "blk9": blk9})
        features |= {"descriptor": descriptor, "landmarks": landmarks, "rotation": rotation}
        shape, albedo = self.regress(self.project(features))
        diffuse = self.refiner(self.unwrapping(chip, places), self.diffuse(albedo), rotation)
        return shape, self.shape_deviation, diffuse, self.diffuse_deviation

    def diffuse(self, albedo: Tensor) -> Tensor:
        """Albedo components [B,A] to coarse maps [B,3,S/2,S/2]."""
        flat = self.albedo_mean + (albedo * self.albedo_scale) @ self.albedo_directions
        return flat.reshape(-1, 3, self.coarse, self.coarse)
