"""The recipe's configuration: one TOML file per recipe, checked when it is read.

Every field of the file maps to a field of one of the dataclasses below; an unknown or missing field, or a value of the
wrong type, is an error that names it. `RecipeConfig.digest` identifies what a checkpoint depends on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path

from fitdiff.learning.errors import RecipeError

CONFIG_FOLDER = Path(__file__).parent.parent / "configs"


@dataclass(frozen=True)
class DataConfig:
    """What is generated; training and held-out identities come from disjoint ranges of seeds."""

    identities: int
    """Number of training identities."""
    held_out: int
    """Number of held-out identities, for evaluation only."""
    chips: int
    """Views (aligned 150x150 chips) of each identity."""
    shard_size: int
    """Identities per shard."""
    map_size: int
    """Side of the square maps, texels."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes and training of the reflectance autoencoder."""

    latent_channels: int
    encoder_widths: tuple[int, int, int]
    """Channels at 1/4, 1/8 and 1/16 of the map size."""
    trunk_widths: tuple[int, int]
    """Channels of the decoder's shared trunk at 1/16 and 1/8."""
    branch_widths: tuple[int, int, int]
    """Channels of the diffuse, specular and normal branch at 1/4."""
    branch_blocks: tuple[int, int, int]
    """Residual blocks of each branch at 1/4."""
    batch: int
    steps: int
    learning_rate: float
    warmup: int
    weight_decay: float
    ema_decay: float
    latent_weight: float
    """Weight of the penalty on the latents' squared norm (half of it, per latent value)."""
    gradient_weight: float
    """Weight of the multi-scale gradient loss."""
    branch_weights: tuple[float, float, float]
    """Loss weights of diffuse, specular and normals."""
    perceptual_weight: float
    """Weight of the recogniser-feature loss on the face crop of the diffuse map; 0 switches it off."""
    perceptual_every: int
    """The recogniser-feature loss is computed at every n-th step (and weighted n times)."""
    adversarial_weight: float
    """Weight of the patch adversarial loss; 0 switches it off."""
    adversarial_start: int
    """Step at which the adversarial loss sets in."""
    checkpoint_every: int
    seed: int


@dataclass(frozen=True)
class DiffusionConfig:
    """Sizes and training of the joint denoiser."""

    widths: tuple[int, ...]
    """Channels at each resolution, finest first; each further entry halves the resolution."""
    blocks: int
    """Residual blocks per resolution."""
    attention: tuple[bool, ...]
    """Whether each resolution has self-attention."""
    heads: int
    shape_width: int
    """Width of the shape branch."""
    spade_channels: int
    """Channels of the spatial map made from the identity embedding."""
    spade_grid: int
    """Side of that map before it is resized to each resolution."""
    train_timesteps: int
    prediction: str
    """`v` or `epsilon`."""
    batch: int
    steps: int
    learning_rate: float
    warmup: int
    weight_decay: float
    ema_decay: float
    shape_weight: float
    """Loss weight of the shape coefficients against 1 for the reflectance latents."""
    embedding_dropout: float
    """Share of training samples that see the null embedding."""
    embedding_noise: float
    """Upper end of the noise added to an embedding, in units of the embeddings' standard deviation."""
    embedding_mixing: float
    """Largest share of another identity's embedding that is mixed in."""
    embedding_radius: float
    """Standardised embeddings longer than this quantile of the training set's are shrunk to it; 1 or more keeps the
    largest length seen in training."""
    checkpoint_every: int
    seed: int


@dataclass(frozen=True)
class RegressorConfig:
    """Data, sizes and training of the regressor of shape and albedo from a photo."""

    identities: int
    """Number of training identities: the first ones of the training range."""
    photos: int
    """Whole photos of each."""
    photo_size: int
    """Side of these photos, pixels."""
    recolourings: int
    """How many times each photo is seen once more as another camera would expose and balance it."""
    components: int
    """Principal components of each kind of features."""
    albedo_components: int
    """Principal components of the coarse albedo."""
    hidden: int
    """Width of the hidden layers."""
    estimators: int
    """How many are trained alike, each without its share of the people, and averaged; at least 2."""
    feature_noise: float
    """Noise on features in training, in their standard deviations."""
    batch: int
    epochs: int
    learning_rate: float
    weight_decay: float
    refiner_widths: tuple[int, ...]
    """Widths of the albedo refiner from its finest level, half the albedo's side, to its coarsest."""
    refiner_batch: int
    refiner_steps: int
    refiner_learning_rate: float
    seed: int


@dataclass(frozen=True)
class IrisConfig:
    """Training of the reader of iris colours, on the regressor's photos."""

    batch: int
    steps: int
    learning_rate: float
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class ExportConfig:
    """What is written for the runtime."""

    unet_batch: int
    """Rows of the denoiser's inputs: 2 for classifier-free guidance in one call."""
    unet_vjp: bool
    """Whether the denoiser's input gradients are exported as well."""
    version: str
    licence: str


@dataclass(frozen=True)
class EvaluationConfig:
    """What the model card's table is computed on."""

    identities: int
    """Held-out identities that are evaluated (at most `data.held_out`)."""
    autoencoder_identities: int
    retrieval_identities: int
    """Identities in the retrieval test's gallery; 0 skips the test."""
    unconditional: int
    """Unconditional samples."""
    sampler_steps: int
    guidance_scale: float
    temperature: tuple[float, float]
    """Scale of the initial noise of reflectance and shape where there is an embedding."""
    seed: int


@dataclass(frozen=True)
class RecipeConfig:
    """A whole recipe."""

    name: str
    data: DataConfig
    autoencoder: AutoencoderConfig
    diffusion: DiffusionConfig
    regressor: RegressorConfig
    iris: IrisConfig
    export: ExportConfig
    evaluation: EvaluationConfig

    def digest(self, *sections: str) -> str:
        """Sixteen hex digits that change when any field of the named sections changes."""
        content = {name: dataclasses.asdict(getattr(self, name)) for name in sections}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def available_configs() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.toml"))


def load_config(name_or_path: str | Path) -> RecipeConfig:
    """Read a configuration by name (`small`) or by the path of a TOML file."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIG_FOLDER / f"{name_or_path}.toml"
    if not path.is_file():
        raise RecipeError(
            f"no configuration '{name_or_path}': expected a .toml file or one of {', '.join(available_configs())}"
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    config = _build(RecipeConfig, {"name": path.stem, **content}, path.name)
    _check(config)
    return config


def _build(kind: type, content: dict, where: str):
    """Make dataclass `kind` from a table, refusing unknown, missing and wrongly typed fields."""
    hints = typing.get_type_hints(kind)
    for unknown in sorted(content.keys() - hints.keys()):
        raise RecipeError(f"{where}: unknown field '{unknown}'")
    for missing in sorted(hints.keys() - content.keys()):
        raise RecipeError(f"{where}: field '{missing}' is missing")
    return kind(**{name: _value(hint, content[name], f"{where}: {name}") for name, hint in hints.items()})


def _value(hint, value, where: str):
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise RecipeError(f"{where}: expected a table, found {value!r}")
        return _build(hint, value, where)
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, list):
            raise RecipeError(f"{where}: expected a list, found {value!r}")
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise RecipeError(f"{where}: expected {len(kinds)} values, found {len(value)}")
        return tuple(_value(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise RecipeError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value


def _check(config: RecipeConfig) -> None:
    """Relations between fields that no type expresses."""
    if config.data.map_size % 32:
        raise RecipeError(f"data.map_size must be a multiple of 32, found {config.data.map_size}")
    if config.diffusion.prediction not in ("v", "epsilon"):
        raise RecipeError(f"diffusion.prediction must be 'v' or 'epsilon', found {config.diffusion.prediction!r}")
    if len(config.diffusion.attention) != len(config.diffusion.widths):
        raise RecipeError("diffusion.attention must have one entry per entry of diffusion.widths")
    if config.regressor.estimators < 2:
        raise RecipeError(f"regressor.estimators must be at least 2, found {config.regressor.estimators}")
    if not 2 <= len(config.regressor.refiner_widths) <= 5:
        raise RecipeError("regressor.refiner_widths must have 2 to 5 resolutions")
    coarsest = config.data.map_size // 16 >> (len(config.diffusion.widths) - 1)
    if coarsest < 1:
        raise RecipeError(
            f"diffusion.widths has more resolutions than latents of side {config.data.map_size // 16} can be halved"
        )
