"""Training of the regressor: minutes on any machine, once the photos' features are known.

Each estimator is trained on all folds of the people but one. What the estimators say of people that they were not
trained on is what the refiner starts from in training: their word is no better there than it will be of new people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import trange

from fitdiff.learning.albedo_refiner import FACTOR
from fitdiff.learning.config import RegressorConfig
from fitdiff.learning.losses import texel_weights
from fitdiff.learning.regressor import KINDS, Estimator, Projection, Regressor, RegressorSizes, principal_directions
from fitdiff.learning.train_refiner import RefinerData, train_refiner
from fitdiff.learning.trainer import Runtime

HELD_OUT = 0.1
"""Share of the identities that deviations are measured on."""
ALBEDO_WEIGHT = 0.25
"""Weight of the albedo components' squared error, in variances of the first, against that of the shape."""
BATCH = 64
"""Photos that are laid out or read at once."""
LARGEST_SIZE = 128
"""Largest side of the refined albedo: a chip resolves no more."""


def reduced(maps: np.ndarray, size: int) -> np.ndarray:
    """Maps [...,S,S] to float32 [...,size,size]: means of their values."""
    step = maps.shape[-1] // size
    return maps.reshape(*maps.shape[:-2], size, step, size, step).mean((-3, -1), dtype=np.float32)


def reduced_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask bool [S,S] to [size,size]: where more than half of the texels are in it."""
    return reduced(mask, size) > 0.5


@dataclass(frozen=True)
class RegressorData:
    """Photos, what the front-end says of them, and who is behind them.

    Attributes:
        features: by kind [N,C,...], of R colourings [N,C,R,D] or for all of them [N,C,...]; see `photo_features`.
        shapes: coefficients [N,K].
        albedo: diffuse albedo uint8 [N,3,S,S], means of sRGB values.
        chart: where the texture means something, bool [S,S].
        skin: where albedo counts, bool [S,S].
        places: texture coordinates of the landmarks [L,2].
        metric: mean squared vertex distance on the face as a form of coefficients [K,K].
    """

    features: dict[str, np.ndarray]
    shapes: np.ndarray
    albedo: np.ndarray
    chart: np.ndarray
    skin: np.ndarray
    places: np.ndarray
    metric: np.ndarray


class RegressorTraining:
    """Fits a regressor."""

    def __init__(self, config: RegressorConfig, data: RegressorData, runtime: Runtime) -> None:
        self.config, self.data, self.runtime = config, data, runtime
        self.features = _by_photo(data.features)
        people, photos = data.features["descriptor"].shape[:2]
        self.per_person = len(self.features["descriptor"]) // people
        self.colourings = self.per_person // photos
        self.metric = torch.from_numpy(data.metric / np.trace(data.metric)).float()
        self.training = int(round(people * (1 - HELD_OUT)))
        self.size = data.albedo.shape[-1]
        self.coarse = reduced(data.albedo, self.size // FACTOR) / 255
        self.coarse_skin = reduced_mask(data.skin, self.size // FACTOR)
        self.person = np.repeat(np.arange(people), self.per_person)

    def run(self) -> Regressor:
        """Train, and measure the deviations on the people that training does not see."""
        torch.manual_seed(self.config.seed)
        model, projected, targets = self._prepare()
        folds = self.person[: self.training * self.per_person] % self.config.estimators
        for number, estimator in enumerate(model.estimators):
            generator = torch.Generator().manual_seed(self.config.seed + number)
            others = torch.from_numpy(np.flatnonzero(folds != number))
            self._train(model, estimator, projected[others], [part[others] for part in targets], generator)
        coarse = self._read_by_others(model, projected, folds)
        data = self._refiner_data(model, coarse)
        photos = self.training * self.per_person // self.colourings
        train_refiner(model.refiner, self.config, data.of(slice(photos)), self.runtime)
        self._measure(model, projected, data.of(slice(photos, None)))
        return model.eval()

    def _train(
        self,
        model: Regressor,
        estimator: Estimator,
        projected: Tensor,
        targets: list[Tensor],
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

    def _prepare(self) -> tuple[Regressor, Tensor, list[Tensor]]:
        """The model with its projections, projected features [M,W], and the targets [M,K] and [M,A]."""
        config, train = self.config, self.training * self.per_person
        widths = {
            kind: (values.shape[1], min(values.shape[1], config.components)) for kind, values in self.features.items()
        }
        shapes = self.data.shapes
        model = Regressor(
            RegressorSizes(
                widths,
                shapes.shape[1],
                config.albedo_components,
                self.size,
                config.hidden,
                config.estimators,
                config.refiner_widths,
            )
        )
        model.unwrapping.place(self.data.places)
        for kind, values in self.features.items():
            projection = Projection.of(values[:train], widths[kind][1])
            for name in ("mean", "directions", "radius"):
                value = torch.as_tensor(getattr(projection, name))
                getattr(model, f"{kind}_{name}").copy_(value.reshape(getattr(model, f"{kind}_{name}").shape))
        flat = np.where(self.coarse_skin, self.coarse, 0).reshape(len(self.coarse), -1)
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
        return model, projected, [torch.from_numpy(part[self.person]).float() for part in (shapes, components / scale)]

    def _loss(self, found: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
        shape, albedo = (a - b for a, b in zip(found, wanted, strict=True))
        return ((shape @ self.metric) * shape).sum(1).mean() + ALBEDO_WEIGHT * albedo.square().sum(1).mean()

    @torch.no_grad()
    def _read_by_others(self, model: Regressor, projected: Tensor, folds: np.ndarray) -> np.ndarray:
        """Coarse albedo [photos,3,S/2,S/2], float16, that estimators read of people that they were not trained on; of
        people that none was trained on, all of them. Photos are taken as they are, in no other colours."""
        rows = np.arange(0, len(projected), self.colourings)
        trained = len(folds)
        parts = []
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            components = model.regress(projected[batch])[1]
            for number, estimator in enumerate(model.estimators):
                mine = (batch < trained) & (folds[np.minimum(batch, trained - 1)] == number)
                components[mine] = model.split(estimator(projected[batch[mine]]))[1]
            parts.append(model.diffuse(components).half().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def _refiner_data(self, model: Regressor, coarse: np.ndarray) -> RefinerData:
        features = self.data.features
        chips, places = (features[name].reshape(-1, *features[name].shape[2:]) for name in ("chip", "places"))
        textures = []
        for start in range(0, len(chips), BATCH):
            batch = slice(start, start + BATCH)
            found = model.unwrapping(torch.from_numpy(chips[batch]).float(), torch.from_numpy(places[batch]))
            textures.append(found.round().to(torch.uint8).numpy())
        return RefinerData(
            textures=np.concatenate(textures),
            coarse=coarse,
            rotation=features["rotation"].reshape(-1, 3),
            person=self.person[:: self.colourings],
            albedo=self.data.albedo,
            weights=texel_weights(self.data.chart, self.data.skin),
        )

    @torch.no_grad()
    def _measure(self, model: Regressor, projected: Tensor, data: RefinerData) -> None:
        """Set the deviations from people that were not trained on."""
        model.eval()
        train = self.training * self.per_person
        error = model.regress(projected[train:])[0] - torch.from_numpy(self.data.shapes[self.person[train:]])
        model.shape_deviation.copy_(error.square().mean(0, keepdim=True).sqrt())
        squares, before = (torch.zeros(self.size, self.size) for _ in range(2))
        for start in range(0, len(data.textures), BATCH):
            texture, coarse, rotation, albedo = data.batch(np.arange(start, min(start + BATCH, len(data.textures))))
            squares += (model.refiner(texture, coarse, rotation) - albedo).square().mean(1).sum(0)
            before += (F.interpolate(coarse, scale_factor=FACTOR) - albedo).square().mean(1).sum(0)
        deviation, before = ((sum / len(data.textures)).sqrt() for sum in (squares, before))
        skin = torch.from_numpy(self.data.skin)
        model.diffuse_deviation.copy_(torch.where(skin, deviation, deviation[skin].max()))
        print(
            f"held-out people: shape {float(model.shape_deviation.mean()):.3f} deviations, albedo "
            f"{255 * float(before[skin].mean()):.1f}, refined {255 * float(deviation[skin].mean()):.1f} of 255"
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
