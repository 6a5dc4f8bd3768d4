"""Schedule, checkpoints, resumption, augmentation and the whole recipe at toy size."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_support import (
    RECOGNISER,
    randomise,
    toy_config,
    write_toy_dataset,
    write_toy_photos,
    write_toy_template,
)

from fitdiff.errors import DatasetError
from fitdiff.learning import checkpoint, metrics, stages
from fitdiff.learning.checkpoint import atomic_write, load_checkpoint, save_checkpoint
from fitdiff.learning.config import CONFIG_FOLDER, available_configs, load_config
from fitdiff.learning.data import BatchOrder, prefetched, to_network
from fitdiff.learning.embeddings import EmbeddingStatistics, augmented
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.latents import LatentSet, LatentStatistics
from fitdiff.learning.losses import gradient_loss, masked_l1, texel_weights
from fitdiff.learning.sampling import sample, trailing_timesteps
from fitdiff.learning.schedule import Schedule, cosine_alphas_cumprod
from fitdiff.learning.train_autoencoder import AutoencoderTraining
from fitdiff.learning.train_diffusion import DiffusionTraining, build_unet
from fitdiff.learning.trainer import Runtime, run_training

CPU = Runtime.choose("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


# Configuration


def test_every_shipped_configuration_is_valid() -> None:
    for name in available_configs():
        assert load_config(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("map_size = 64", "map_size = 64\nmap_sise = 3", "unknown field 'map_sise'"),
        ("map_size = 64\n", "", "field 'map_size' is missing"),
        ("map_size = 64", 'map_size = "64"', "expected int"),
        ("map_size = 64", "map_size = 72", "multiple of 32"),
        ("encoder_widths = [16, 16, 32]", "encoder_widths = [16, 16]", "expected 3 values, found 2"),
        ('prediction = "v"', 'prediction = "x"', "prediction"),
        ("attention = [false, true]", "attention = [true]", "attention"),
        ("estimators = 2", "estimators = 1", "estimators must be at least 2"),
        ("refiner_widths = [16, 16]", "refiner_widths = [16]", "2 to 5 resolutions"),
    ],
)
def test_a_wrong_configuration_is_refused_by_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (CONFIG_FOLDER / "toy.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(RecipeError, match=message):
        load_config(path)


# Schedule and sampling


def test_the_cosine_schedule_follows_its_formula() -> None:
    steps = 1000
    found = cosine_alphas_cumprod(steps)
    time = (np.arange(1, steps + 1) / steps + 0.008) / 1.008
    expected = np.cos(time * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    # The cap on beta changes the last steps only.
    np.testing.assert_allclose(found[:990], expected[:990], rtol=1e-9)
    assert np.all(np.diff(found) < 0)
    assert found[-1] > 0


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_the_target_leads_back_to_the_clean_sample(prediction: str) -> None:
    schedule = Schedule.cosine(1000, prediction)
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(5, 3, 4, 4, generator=generator, dtype=torch.float32)
    noise = torch.randn(5, 3, 4, 4, generator=generator)
    timestep = torch.tensor([0, 200, 500, 800, 950])
    noised = schedule.add_noise(clean, noise, timestep)
    restored = schedule.clean(noised, schedule.target(clean, noise, timestep), timestep)
    torch.testing.assert_close(restored, clean, atol=2e-4, rtol=0)


def test_the_manifest_states_the_schedule_to_float_precision() -> None:
    described = Schedule.cosine(1000, "v").describe()
    np.testing.assert_allclose(described["alphas_cumprod"], cosine_alphas_cumprod(1000), rtol=1e-8)
    assert json.loads(json.dumps(described)) == described


def test_timesteps_start_at_the_last_and_fall() -> None:
    assert trailing_timesteps(1000, 4) == [999, 749, 499, 249]


class GaussianDenoiser(torch.nn.Module):
    """The exact v-predictor of data that is normal with mean m and standard deviation d in every dimension."""

    reflectance_shape = (2, 3, 3)
    shape_coefficients = 5
    embedding_size = 128

    def __init__(self, schedule: Schedule, mean: float, deviation: float) -> None:
        super().__init__()
        self.schedule, self.mean, self.deviation = schedule, mean, deviation
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, reflectance, shape, timestep, embedding, conditional):
        def predict(noised):
            signal, level = self.schedule.levels(timestep.long(), noised.dim())
            gain = signal * self.deviation**2 / (signal**2 * self.deviation**2 + level**2)
            clean = self.mean + gain * (noised - signal * self.mean)
            noise = (noised - signal * clean) / level
            return signal * noise - level * clean

        return predict(reflectance), predict(shape)


def test_sampling_with_the_exact_denoiser_gives_the_data_distribution() -> None:
    schedule = Schedule.cosine(1000, "v")
    result = sample(GaussianDenoiser(schedule, 0.7, 0.4), schedule, None, 4000, 50, 1.0, seed=1)
    for values in (result.reflectance, result.shape):
        assert float(values.mean()) == pytest.approx(0.7, abs=0.02)
        assert float(values.std()) == pytest.approx(0.4, abs=0.02)


def test_the_temperature_scales_the_spread_and_keeps_the_mean() -> None:
    schedule = Schedule.cosine(1000, "v")
    denoiser = GaussianDenoiser(schedule, 0.7, 0.4)
    result = sample(denoiser, schedule, None, 4000, 50, 1.0, seed=1, temperature=(0.5, 0.0))
    assert float(result.reflectance.mean()) == pytest.approx(0.7, abs=0.02)
    assert float(result.reflectance.std()) == pytest.approx(0.2, abs=0.02)
    assert float(result.shape.mean()) == pytest.approx(0.7, abs=0.02)
    assert float(result.shape.std()) < 0.02


def test_sampling_depends_on_the_seed_alone() -> None:
    schedule = Schedule.cosine(1000, "v")
    unet = randomise(build_unet(toy_config(), 120))
    embedding = torch.zeros(3, 128)
    first, second = (sample(unet, schedule, embedding, 3, 3, 1.5, seed=4) for _ in range(2))
    torch.testing.assert_close(first.reflectance, second.reflectance, rtol=0, atol=0)
    third = sample(unet, schedule, embedding, 3, 3, 1.5, seed=5)
    assert not torch.equal(first.shape, third.shape)


# Conditioning


def test_the_switch_hides_the_embedding_and_long_embeddings_are_shortened() -> None:
    unet = randomise(build_unet(toy_config(), 120))
    conditioning = unet.conditioning
    conditioning.set_statistics(torch.full((128,), 0.1), 0.05, 4.0)
    embedding = torch.randn(2, 128)
    off = torch.zeros(2)
    for a, b in zip(conditioning(embedding, off), conditioning(-embedding, off), strict=True):
        torch.testing.assert_close(a, b)
    lengths = conditioning.standardise(torch.stack([embedding[0], 0.1 + 0.001 * embedding[1]])).norm(dim=1)
    assert float(lengths[0]) == pytest.approx(4.0, rel=1e-5)
    assert float(lengths[1]) == pytest.approx(float((0.001 * embedding[1]).norm()) / 0.05, rel=1e-4)


def test_augmentation_keeps_within_its_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    own, others = torch.zeros(4000, 128), torch.ones(4000, 128)
    found = augmented(own, others, 0.1, 0.5, 0.2, generator)
    assert 0.4 < float((found.mean(dim=1) < 0.02).float().mean()) < 0.6
    assert float(found.mean(dim=1).max()) < 0.2 + 0.02
    deviation = (found - found.mean(dim=1, keepdim=True)).std(dim=1)
    assert float(deviation.max()) < 0.1 * 0.5 * 1.4
    torch.testing.assert_close(augmented(own, others, 0.1, 0.0, 0.0, generator), own)


def test_embedding_statistics_describe_their_input() -> None:
    embeddings = np.random.default_rng(0).normal(0.3, 0.05, (500, 2, 128)).astype(np.float32)
    found = EmbeddingStatistics.of(embeddings, 0.9)
    assert found.scale == pytest.approx(0.05, rel=0.02)
    lengths = np.linalg.norm((embeddings.reshape(-1, 128) - found.mean) / found.scale, axis=1)
    assert float((lengths > found.radius).mean()) == pytest.approx(0.1, abs=0.01)


# Losses and metrics


def test_losses_ignore_what_has_no_weight_and_see_edges() -> None:
    weights = torch.zeros(1, 1, 16, 16)
    weights[..., :8] = 1
    outside = torch.zeros(2, 3, 16, 16)
    outside[..., 9:] = 5
    assert float(masked_l1(outside, weights)) == 0
    shift = torch.ones(2, 3, 16, 16)
    assert float(masked_l1(shift, weights)) == pytest.approx(1)
    assert float(gradient_loss(shift, weights)) == pytest.approx(0, abs=1e-6)
    edge = torch.zeros(2, 3, 16, 16)
    edge[..., :4] = 1
    assert float(gradient_loss(edge, weights)) > 0.01


def test_texel_weights_prefer_the_face() -> None:
    chart, face = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    chart[1:], face[2:] = True, True
    weights = texel_weights(chart, face)[0, 0]
    assert weights[3, 0] > weights[1, 0] > weights[0, 0] > 0


def test_metrics_agree_with_hand_calculation() -> None:
    assert metrics.psnr(0.01) == pytest.approx(20)
    up, tilted = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    up[2], tilted[1:] = 1, np.sqrt(0.5)
    assert metrics.mean_angle(up, 3 * tilted, np.ones((2, 2), bool)) == pytest.approx(45)
    directions = np.zeros((2, 3, 1), np.float32)
    directions[:, 0] = 0.003
    assert metrics.vertex_error(np.asarray([[2.0]]), directions) == pytest.approx([6.0])
    assert metrics.mean_pairwise_distance(np.asarray([[0.0], [3.0], [6.0]])) == pytest.approx(4)
    assert metrics.top1_rate(np.asarray([[0.0], [1.0]]), np.asarray([[0.1], [5.0]])) == pytest.approx(0.5)


# Data


def test_maps_convert_to_the_network_encoding(tmp_path: Path) -> None:
    data = write_toy_dataset(tmp_path, toy_config(), 3, 0)
    stored = torch.zeros(1, 6, 64, 64, dtype=torch.uint8)
    stored[:, 0], stored[:, 3], stored[:, 4:] = 255, 255, 128
    found = to_network(stored, torch.from_numpy(data.chart).float())
    centre = found[0, :, 32, 32]
    torch.testing.assert_close(centre, torch.tensor([1.0, -1.0, -1.0, 1.0, 0.0, 0.0]))
    assert not found[:, :, 0, 0].any()


def test_an_incomplete_data_set_is_refused(tmp_path: Path) -> None:
    data = write_toy_dataset(tmp_path, toy_config(), 20, 0)
    (tmp_path / "shard-00001" / "shard.json").unlink()
    with pytest.raises(RecipeError, match="2 of 3 shards"):
        type(data)(tmp_path)
    with pytest.raises(DatasetError):
        type(data)(tmp_path / "nothing")


def test_every_epoch_visits_every_identity_once() -> None:
    order = BatchOrder(10, 3, seed=1)
    first = np.concatenate([order(step) for step in range(3)])
    assert len(set(first)) == 9
    again = BatchOrder(10, 3, seed=1)
    np.testing.assert_array_equal(again(7), order(7))


def test_prefetching_keeps_order_and_passes_errors_on() -> None:
    assert list(prefetched(lambda step: step * step, 2, 6)) == [4, 9, 16, 25]

    def failing(step: int) -> int:
        raise DatasetError(f"shard {step} is damaged")

    with pytest.raises(DatasetError, match="shard 2"):
        list(prefetched(failing, 2, 6))


# Checkpoints


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, "autoencoder", "aaaa", {"step": 3})
    assert load_checkpoint(path, "autoencoder", "aaaa") == {"step": 3}
    with pytest.raises(RecipeError, match="another configuration"):
        load_checkpoint(path, "autoencoder", "bbbb")
    with pytest.raises(RecipeError, match="expected"):
        load_checkpoint(path, "diffusion", "aaaa")
    assert load_checkpoint(tmp_path / "none.pt", "diffusion", "aaaa") is None


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, "autoencoder", "aaaa", {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RecipeError, match="not a readable checkpoint"):
        load_checkpoint(path, "autoencoder", "aaaa")


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half of the new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_full_disk_is_a_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(RecipeError, match="no space left"):
        save_checkpoint(tmp_path / "a.pt", "autoencoder", "aaaa", {})
    assert not list(tmp_path.iterdir())


# Training


class Stopped(Exception):
    """Ends a training in the middle."""


def autoencoder_training(config, data, stop_at: int | None = None) -> AutoencoderTraining:
    training = AutoencoderTraining(config, data, None, CPU)
    if stop_at is not None:
        step_function = training.train_step

        def step_or_stop(step, batch):
            if step == stop_at:
                raise Stopped
            return step_function(step, batch)

        training.train_step = step_or_stop
    return training


@pytest.fixture
def short_config():
    config = toy_config()
    autoencoder = dataclasses.replace(
        config.autoencoder, perceptual_weight=0.0, steps=9, checkpoint_every=3, adversarial_start=4
    )
    return dataclasses.replace(config, autoencoder=autoencoder)


def test_a_resumed_training_gives_what_an_uninterrupted_one_gives(tmp_path: Path, short_config) -> None:
    data = write_toy_dataset(tmp_path / "data", short_config, 10, 0)
    whole = autoencoder_training(short_config, data)
    run_training(whole, tmp_path / "whole.pt", "whole")
    with pytest.raises(Stopped):
        run_training(autoencoder_training(short_config, data, stop_at=5), tmp_path / "parts.pt", "first")
    resumed = autoencoder_training(short_config, data)
    run_training(resumed, tmp_path / "parts.pt", "second")
    for a, b in zip(whole.ema.network.parameters(), resumed.ema.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_an_interrupt_ends_the_step_and_writes_a_checkpoint(tmp_path: Path, short_config) -> None:
    data = write_toy_dataset(tmp_path / "data", short_config, 10, 0)
    training = autoencoder_training(short_config, data)
    step_function = training.train_step

    def step_with_signal(step, batch):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step_function(step, batch)

    training.train_step = step_with_signal
    with pytest.raises(KeyboardInterrupt):
        run_training(training, tmp_path / "a.pt", "a")
    assert load_checkpoint(tmp_path / "a.pt", "autoencoder", training.digest)["step"] == 5


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path, short_config) -> None:
    data = write_toy_dataset(tmp_path / "data", short_config, 10, 0)
    training = autoencoder_training(short_config, data)
    training.train_step = lambda step, batch: {"loss": torch.tensor(float("nan"))}
    with pytest.raises(RecipeError, match="not finite"):
        run_training(training, tmp_path / "a.pt", "a")
    assert not (tmp_path / "a.pt").exists()


def test_running_out_of_memory_is_a_clear_message(tmp_path: Path, short_config) -> None:
    data = write_toy_dataset(tmp_path / "data", short_config, 10, 0)
    training = autoencoder_training(short_config, data)

    def exhausted(step, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    training.train_step = exhausted
    with pytest.raises(RecipeError, match="lower `batch`"):
        run_training(training, tmp_path / "a.pt", "a")


def test_the_denoiser_learns_what_the_embedding_tells(tmp_path: Path) -> None:
    config = toy_config()
    settings = dataclasses.replace(
        config.diffusion, steps=250, batch=32, learning_rate=3e-3, embedding_noise=0.0, embedding_mixing=0.0
    )
    config = dataclasses.replace(config, diffusion=settings)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((64, 4)).astype(np.float32)
    embeddings = (codes @ rng.standard_normal((4, 128)).astype(np.float32) * 0.1)[:, None]
    latents = np.repeat(codes[:, :, None, None], 4, axis=2).repeat(4, axis=3)
    shapes = np.tile(codes[:, :1], (1, 120)) / 1
    standard = LatentStatistics(torch.zeros(4), torch.ones(4))
    training = DiffusionTraining(config, LatentSet(latents, standard), shapes, embeddings, CPU)
    run_training(training, tmp_path / "d.pt", "toy denoiser")
    result = sample(training.ema.network, training.schedule, torch.from_numpy(embeddings[:32, 0]), 32, 10, 1.0, seed=0)
    correlation = np.corrcoef(result.shape.mean(dim=1).numpy(), codes[:32, 0])[0, 1]
    assert correlation > 0.8


@pytest.mark.skipif(not RECOGNISER.exists(), reason="the bundle's recogniser is not built")
def test_the_whole_recipe_runs_at_toy_size_and_again_from_what_it_left(tmp_path: Path) -> None:
    config = toy_config()
    write_toy_dataset(tmp_path / "data" / "train", config, config.data.identities, 0)
    write_toy_dataset(tmp_path / "data" / "test", config, config.data.held_out, 2_000_000)
    write_toy_template(tmp_path / "template")
    space = stages.Workspace(config, tmp_path, RECOGNISER, CPU)
    with pytest.raises(RecipeError, match="run train-autoencoder first"):
        stages.train_diffusion(space)
    stages.train_autoencoder(space)
    with pytest.raises(RecipeError, match="run train-diffusion first"):
        stages.export(space, tmp_path / "bundle")
    stages.train_diffusion(space)
    stages.export(space, tmp_path / "bundle")
    write_toy_photos(tmp_path / "data" / "photos", config)
    with pytest.raises(RecipeError, match="run train-regressor first"):
        stages.export_trained_regressor(space, tmp_path / "bundle")
    stages.train_regressor(space)
    stages.export_trained_regressor(space, tmp_path / "bundle")
    with pytest.raises(RecipeError, match="run train-iris first"):
        stages.export_trained_iris(space, tmp_path / "bundle")
    stages.train_iris(space)
    stages.export_trained_iris(space, tmp_path / "bundle")
    table = stages.run_evaluation(space, tmp_path / "bundle", "the command")
    assert "diffuse PSNR" in table.read_text()
    for name in ("faces.png", "unconditional.png", "evaluation.json"):
        assert (tmp_path / "evaluation" / name).stat().st_size > 0

    manifest = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert {"regressor", "iris_reader"} <= set(manifest["generator"]["networks"])
    for role in manifest["generator"]["networks"].values():
        network = manifest["networks"][role]
        assert (tmp_path / "bundle" / network["file"]["path"]).stat().st_size == network["file"]["bytes"]
        if "weights" in network:
            assert (tmp_path / "bundle" / network["weights"]).is_file()
    assert manifest["template"]["components"] == 120
    assert len(manifest["generator"]["schedule"]["alphas_cumprod"]) == 1000

    before = (tmp_path / "autoencoder.pt").stat().st_mtime_ns
    stages.train_autoencoder(space)
    stages.train_diffusion(space)
    assert (tmp_path / "autoencoder.pt").stat().st_mtime_ns == before
    other = dataclasses.replace(config, diffusion=dataclasses.replace(config.diffusion, steps=31))
    with pytest.raises(RecipeError, match="another configuration"):
        stages.train_diffusion(dataclasses.replace(space, config=other))
