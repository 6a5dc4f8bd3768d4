"""Training of the joint denoiser on standardised latents, whitened shape coefficients and identity embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fitdiff.learning.checkpoint import load_checkpoint
from fitdiff.learning.config import RecipeConfig
from fitdiff.learning.data import BatchOrder
from fitdiff.learning.ema import Ema
from fitdiff.learning.embeddings import EmbeddingStatistics, augmented
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.latents import LatentSet
from fitdiff.learning.schedule import Schedule
from fitdiff.learning.trainer import Runtime, learning_rate, set_learning_rate, step_generator
from fitdiff.learning.unet import JointUNet

KIND = "diffusion"
GRADIENT_CLIP = 1.0


def diffusion_digest(config: RecipeConfig) -> str:
    """Digest of what the denoiser depends on: its own settings and the autoencoder's, whose latents it denoises."""
    return config.digest("data", "autoencoder", "diffusion")


def build_unet(config: RecipeConfig, shape_coefficients: int) -> JointUNet:
    """An untrained denoiser of the configured size."""
    latent_size = config.data.map_size // 16
    return JointUNet(config.diffusion, config.autoencoder.latent_channels, latent_size, shape_coefficients)


class DiffusionTraining:
    """One denoiser in training; see `fitdiff.learning.trainer.Training`."""

    kind = KIND

    def __init__(
        self, config: RecipeConfig, latents: LatentSet, shapes: np.ndarray, embeddings: np.ndarray, runtime: Runtime
    ) -> None:
        if not len(latents.values) == len(shapes) == len(embeddings):
            raise RecipeError(
                f"{len(latents.values)} latents, {len(shapes)} shapes and {len(embeddings)} embeddings do not belong "
                "to the same identities; delete the work folder's latents and embeddings and run again"
            )
        settings = config.diffusion
        self.settings, self.runtime = settings, runtime
        self.digest = diffusion_digest(config)
        self.steps, self.checkpoint_every = settings.steps, settings.checkpoint_every
        self.schedule = Schedule.cosine(settings.train_timesteps, settings.prediction)
        self.latents, self.shapes, self.embeddings = latents.values, shapes, embeddings
        self.statistics = EmbeddingStatistics.of(embeddings, settings.embedding_radius)
        torch.manual_seed(settings.seed)
        network = build_unet(config, shapes.shape[1])
        network.conditioning.set_statistics(
            torch.from_numpy(self.statistics.mean), self.statistics.scale, self.statistics.radius
        )
        self.network = runtime.place(network)
        self.ema = Ema(self.network, settings.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        self.order = BatchOrder(len(shapes), settings.batch, settings.seed)

    def load_batch(self, step: int) -> dict[str, Tensor]:
        """Clean samples, noise, steps and augmented embeddings, all drawn from the step's own generator."""
        settings, generator = self.settings, step_generator(self.settings.seed, step)
        indices = self.order(step)
        count = len(indices)
        views = torch.randint(self.embeddings.shape[1], (count,), generator=generator).numpy()
        own = torch.from_numpy(self.embeddings[indices, views])
        embedding = augmented(
            own, own.roll(1, 0), self.statistics.scale, settings.embedding_noise, settings.embedding_mixing, generator
        )
        reflectance = torch.from_numpy(self.latents[indices]).float()
        shape = torch.from_numpy(self.shapes[indices])
        return {
            "reflectance": reflectance,
            "shape": shape,
            "reflectance_noise": torch.randn(reflectance.shape, generator=generator),
            "shape_noise": torch.randn(shape.shape, generator=generator),
            "timestep": torch.randint(self.schedule.steps, (count,), generator=generator),
            "embedding": embedding,
            "conditional": (torch.rand(count, generator=generator) >= settings.embedding_dropout).float(),
        }

    def train_step(self, step: int, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        settings = self.settings
        set_learning_rate(self.optimizer, learning_rate(settings.learning_rate, step, settings.warmup, settings.steps))
        batch = {name: value.to(self.runtime.device, non_blocking=True) for name, value in batch.items()}
        timestep = batch["timestep"]
        noised, targets = {}, {}
        for part in ("reflectance", "shape"):
            clean, noise = batch[part], batch[f"{part}_noise"]
            noised[part] = self.schedule.add_noise(clean, noise, timestep)
            targets[part] = self.schedule.target(clean, noise, timestep)
        with self.runtime.autocast():
            predictions = self.network(
                noised["reflectance"], noised["shape"], timestep.float(), batch["embedding"], batch["conditional"]
            )
        losses = {
            part: F.mse_loss(prediction.float(), target)
            for (part, target), prediction in zip(targets.items(), predictions, strict=True)
        }
        self.optimizer.zero_grad(set_to_none=True)
        (losses["reflectance"] + settings.shape_weight * losses["shape"]).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        self.ema.update(self.network)
        return {name: value.detach() for name, value in losses.items()}

    def state_dict(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])


def load_unet(config: RecipeConfig, path: Path, shape_coefficients: int) -> JointUNet:
    """The averaged denoiser of a finished training, on the CPU, in evaluation mode.

    Raises:
        RecipeError: there is no checkpoint, it belongs to another configuration, or training has not finished.
    """
    state = load_checkpoint(path, KIND, diffusion_digest(config))
    if state is None or state["step"] < config.diffusion.steps:
        done = "none" if state is None else f"step {state['step']}"
        raise RecipeError(
            f"{path}: the denoiser is not trained ({done} of {config.diffusion.steps}); run train-diffusion first"
        )
    network = build_unet(config, shape_coefficients)
    network.load_state_dict(state["training"]["ema"]["network"])
    return network.eval().requires_grad_(False)
