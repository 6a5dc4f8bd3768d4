"""Training of the reflectance autoencoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fitdiff.learning.adversarial import PatchDiscriminator, discriminator_loss, generator_loss, masked
from fitdiff.learning.autoencoder import BRANCHES, Autoencoder
from fitdiff.learning.checkpoint import load_checkpoint
from fitdiff.learning.config import RecipeConfig
from fitdiff.learning.data import BatchOrder, FaceData, to_network
from fitdiff.learning.ema import Ema
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.losses import FaceCropPerceptual, reconstruction_loss, texel_weights
from fitdiff.learning.recogniser import Recogniser
from fitdiff.learning.trainer import Runtime, learning_rate, set_learning_rate, step_generator

KIND = "autoencoder"
GRADIENT_CLIP = 1.0
LATENT_PENALTY_WARMUP = 500
"""Steps over which the latent penalty rises to its weight."""


def autoencoder_digest(config: RecipeConfig) -> str:
    """Digest of what the autoencoder depends on."""
    return config.digest("data", "autoencoder")


class AutoencoderTraining:
    """One autoencoder in training; see `fitdiff.learning.trainer.Training`."""

    kind = KIND

    def __init__(self, config: RecipeConfig, data: FaceData, recogniser: Recogniser | None, runtime: Runtime) -> None:
        settings = config.autoencoder
        if settings.perceptual_weight and recogniser is None:
            raise RecipeError("autoencoder.perceptual_weight needs the recogniser's ONNX file")
        self.settings, self.runtime, self.data = settings, runtime, data
        self.digest = autoencoder_digest(config)
        self.steps, self.checkpoint_every = settings.steps, settings.checkpoint_every
        torch.manual_seed(settings.seed)
        self.network = runtime.place(Autoencoder(settings, config.data.map_size))
        self.ema = Ema(self.network, settings.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        self.order = BatchOrder(len(data), settings.batch, settings.seed)
        self.chart = torch.from_numpy(data.chart).float().to(runtime.device)
        self.weights = texel_weights(data.chart, data.face).to(runtime.device)
        self.perceptual = None
        if settings.perceptual_weight:
            self.perceptual = FaceCropPerceptual(recogniser, data.face).to(runtime.device)
        self.discriminator = None
        if settings.adversarial_weight:
            self.discriminator = PatchDiscriminator().to(runtime.device)
            self.discriminator_optimizer = torch.optim.AdamW(
                self.discriminator.parameters(), lr=settings.learning_rate, betas=(0.5, 0.99), weight_decay=0.0
            )

    def load_batch(self, step: int) -> Tensor:
        """Stored maps of the step's identities, uint8 [B,6,S,S]."""
        return self.data.map_bytes(self.order(step))

    def train_step(self, step: int, batch: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        rate = learning_rate(settings.learning_rate, step, settings.warmup, settings.steps)
        set_learning_rate(self.optimizer, rate)
        maps = to_network(batch.to(self.runtime.device, non_blocking=True), self.chart)
        latent = (len(maps), settings.latent_channels, maps.shape[-1] // 16, maps.shape[-1] // 16)
        noise = torch.randn(latent, generator=step_generator(settings.seed, step)).to(maps.device)
        with self.runtime.autocast():
            output = self.network(maps, noise)
        predicted = output.maps.float()
        losses = reconstruction_loss(predicted, maps, self.weights, settings.branch_weights, settings.gradient_weight)
        penalty = settings.latent_weight * min(1.0, step / LATENT_PENALTY_WARMUP)
        losses["latent"] = penalty * 0.5 * output.latents.float().square().mean()
        if self.perceptual is not None and step % settings.perceptual_every == 0:
            diffuse = BRANCHES["diffuse"]
            with self.runtime.autocast():
                distance = self.perceptual(predicted[:, :diffuse], maps[:, :diffuse])
            losses["perceptual"] = settings.perceptual_weight * settings.perceptual_every * distance.float()
        adversarial = self.discriminator is not None and step >= settings.adversarial_start
        if adversarial:
            self.discriminator.requires_grad_(False)
            judged = self.discriminator(masked(predicted, self.chart))
            losses["adversarial"] = settings.adversarial_weight * generator_loss(judged)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        self.ema.update(self.network)
        if adversarial:
            losses["discriminator"] = self._train_discriminator(rate, maps, predicted.detach())
        return {name: value.detach() for name, value in losses.items()}

    def _train_discriminator(self, rate: float, real: Tensor, generated: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        set_learning_rate(self.discriminator_optimizer, rate)
        loss = discriminator_loss(
            self.discriminator(masked(real, self.chart)), self.discriminator(masked(generated, self.chart))
        )
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()
        return loss

    def _parts(self) -> dict:
        parts = {"network": self.network, "ema": self.ema, "optimizer": self.optimizer}
        if self.discriminator is not None:
            parts["discriminator"] = self.discriminator
            parts["discriminator_optimizer"] = self.discriminator_optimizer
        return parts

    def state_dict(self) -> dict:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


def load_autoencoder(config: RecipeConfig, path: Path) -> Autoencoder:
    """The averaged autoencoder of a finished training, on the CPU, in evaluation mode.

    Raises:
        RecipeError: there is no checkpoint, it belongs to another configuration, or training has not finished.
    """
    state = load_checkpoint(path, KIND, autoencoder_digest(config))
    if state is None or state["step"] < config.autoencoder.steps:
        done = "none" if state is None else f"step {state['step']}"
        raise RecipeError(
            f"{path}: the autoencoder is not trained ({done} of {config.autoencoder.steps}); "
            "run train-autoencoder first"
        )
    network = Autoencoder(config.autoencoder, config.data.map_size)
    network.load_state_dict(state["training"]["ema"]["network"])
    return network.eval().requires_grad_(False)
