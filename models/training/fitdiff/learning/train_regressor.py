"""Training of the regressor: minutes on any machine, once the photos' features are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from fitdiff.learning.config import RegressorConfig
from fitdiff.learning.regressor import KINDS, Estimator, Projection, Regressor, principal_directions

HELD_OUT = 0.1
"""Share of the identities that deviations are measured on."""
ALBEDO_WEIGHT = 0.25
"""Weight of the albedo components' squared error, in variances of the first, against that of the shape."""
SIZE = 64
"""Side of the albedo map."""


def low_resolution(maps: np.ndarray) -> np.ndarray:
    """Diffuse maps uint8 [N,3,S,S] to float32 [N,3,64,64], 0 to 1: means of sRGB values."""
    count, channels, side, _ = maps.shape
    step = side // SIZE
    return maps.reshape(count, channels, SIZE, step, SIZE, step).mean((3, 5), dtype=np.float32) / 255


def low_resolution_mask(mask: np.ndarray) -> np.ndarray:
    """A mask bool [S,S] to [64,64]: where more than half of the texels are in it."""
    step = len(mask) // SIZE
    return mask.reshape(SIZE, step, SIZE, step).mean((1, 3)) > 0.5


class RegressorTraining:
    """Fits a regressor to features of photos and what is behind them.

    Args:
        config: sizes and training.
        features: by kind [N,C,...], of R colourings [N,C,R,D] or for all of them [N,C,...]; see `photo_features`.
        shapes: coefficients [N,K].
        albedo: low-resolution diffuse albedo [N,3,64,64].
        skin: where it counts, bool [64,64].
        metric: mean squared vertex distance on the face as a form of coefficients [K,K].
    """

    def __init__(
        self,
        config: RegressorConfig,
        features: dict[str, np.ndarray],
        shapes: np.ndarray,
        albedo: np.ndarray,
        skin: np.ndarray,
        metric: np.ndarray,
    ) -> None:
        self.config = config
        self.features = _by_photo(features)
        self.per_person = len(self.features["descriptor"]) // len(shapes)
        self.shapes, self.albedo, self.skin = shapes, albedo, skin
        self.metric = torch.from_numpy(metric / np.trace(metric)).float()
        self.training = int(round(len(shapes) * (1 - HELD_OUT)))

    def run(self) -> Regressor:
        """Train, and measure the deviations on the people that training does not see."""
        torch.manual_seed(self.config.seed)
        model, projected, targets = self._prepare()
        train = self.training * self.per_person
        for number, estimator in enumerate(model.estimators):
            generator = torch.Generator().manual_seed(self.config.seed + number)
            self._train(model, estimator, projected[:train], targets, generator)
        self._measure(model, projected[train:])
        return model.eval()

    def _train(
        self,
        model: Regressor,
        estimator: Estimator,
        projected: Tensor,
        targets: tuple[Tensor, Tensor],
        generator: torch.Generator,
    ) -> None:
        config, spread = self.config, projected.std(0)
        steps = config.epochs * len(projected) // config.batch
        optimiser = torch.optim.AdamW(estimator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, steps, pct_start=0.1)
        for _ in trange(steps, desc="regressor", unit="step", dynamic_ncols=True):
            batch = torch.randint(len(projected), (config.batch,), generator=generator)
            jitter = config.feature_noise * spread * torch.randn(config.batch, len(spread), generator=generator)
            found = model.split(estimator(projected[batch] + jitter))
            loss = self._loss(found, (targets[0][batch], targets[1][batch]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    def _prepare(self) -> tuple[Regressor, Tensor, tuple[Tensor, Tensor]]:
        """The model with its projections, projected features [M,W], and the targets [M,K] and [M,A]."""
        config, train = self.config, self.training * self.per_person
        widths = {
            kind: (values.shape[1], min(values.shape[1], config.components)) for kind, values in self.features.items()
        }
        model = Regressor(
            widths, self.shapes.shape[1], config.albedo_components, SIZE, config.hidden, config.estimators
        )
        for kind, values in self.features.items():
            projection = Projection.of(values[:train], widths[kind][1])
            for name in ("mean", "directions", "radius"):
                value = torch.as_tensor(getattr(projection, name))
                getattr(model, f"{kind}_{name}").copy_(value.reshape(getattr(model, f"{kind}_{name}").shape))
        flat = np.where(self.skin, self.albedo, 0).reshape(len(self.albedo), -1)
        mean = flat[: self.training].mean(0)
        centred = (flat[: self.training] - mean).astype(np.float64)
        directions = principal_directions(centred, config.albedo_components).T
        components = (flat - mean) @ directions.T
        scale = components[: self.training, 0].std()
        model.albedo_mean.copy_(torch.from_numpy(mean))
        model.albedo_directions.copy_(torch.from_numpy(directions))
        model.albedo_scale.fill_(float(scale))
        with torch.no_grad():
            tensors = {kind: torch.from_numpy(values) for kind, values in self.features.items()}
            projected = model.project(tensors)
        repeat = np.repeat(np.arange(len(self.shapes)), self.per_person)
        targets = tuple(torch.from_numpy(values[repeat]).float() for values in (self.shapes, components / scale))
        return model, projected, targets

    def _loss(self, found: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
        shape, albedo = (a - b for a, b in zip(found, wanted, strict=True))
        return ((shape @ self.metric) * shape).sum(1).mean() + ALBEDO_WEIGHT * albedo.square().sum(1).mean()

    @torch.no_grad()
    def _measure(self, model: Regressor, projected: Tensor) -> None:
        """Set the deviations from people that were not trained on."""
        model.eval()
        repeat = np.repeat(np.arange(self.training, len(self.shapes)), self.per_person)
        shape, albedo = model.regress(projected)
        error = shape - torch.from_numpy(self.shapes[repeat])
        model.shape_deviation.copy_(error.square().mean(0, keepdim=True).sqrt())
        error = model.diffuse(albedo) - torch.from_numpy(self.albedo[repeat])
        deviation = error.square().mean((0, 1)).sqrt()
        skin = torch.from_numpy(self.skin)
        deviation = torch.where(skin, deviation, deviation[skin].max())
        model.diffuse_deviation.copy_(deviation)
        print(
            f"held-out people: shape {float(model.shape_deviation.mean()):.3f} deviations, "
            f"albedo {255 * float(deviation[skin].mean()):.1f} of 255"
        )


def _by_photo(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Features [N,C,...] to [N*C*R,D]; those of all colourings are repeated for each."""
    colourings = features["descriptor"].shape[2]
    flat = {}
    for kind in KINDS:
        values = features[kind]
        people, photos = values.shape[:2]
        if kind in ("landmarks", "rotation"):
            values = np.repeat(values.reshape(people, photos, 1, -1), colourings, axis=2)
        flat[kind] = values.reshape(people * photos * colourings, -1)
    return flat
