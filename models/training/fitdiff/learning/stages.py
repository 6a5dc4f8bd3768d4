"""The recipe's stages: each reads what the stages before it left in the work folder, and can be run again at any time.

Work folder::

    data/train/, data/test/   data sets
    template/                 the template head
    autoencoder.pt            checkpoint
    embeddings.npy            identity embeddings of the training chips
    latents.npz               standardised latents of the training maps
    diffusion.pt              checkpoint
    data/photos/              data set of whole photos
    photo-features.npz        what the face front-end says of them
    regressor.pt              checkpoint
    iris.pt                   checkpoint
    test-embeddings.npy       identity embeddings of the held-out chips
    bundle/                   exported graphs and manifest (or the folder given with --bundle)
    evaluation/               table and pictures
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.export.exporter import RECOGNISER, TrainedModel, export_bundle, export_iris_reader, export_regressor
from fitdiff.faces.dataset import iterate_shards, load_masks
from fitdiff.faces.irises import IRIS_COLOURS
from fitdiff.faces.template import Template, load_template
from fitdiff.learning import sources
from fitdiff.learning.checkpoint import load_checkpoint, save_checkpoint
from fitdiff.learning.config import RecipeConfig
from fitdiff.learning.data import FaceData
from fitdiff.learning.embeddings import dataset_embeddings
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.evaluate import Subject, bundle_size, evaluate
from fitdiff.learning.grids import write_grids
from fitdiff.learning.iris_reader import IrisReader
from fitdiff.learning.latents import LatentSet, dataset_latents, load_latents
from fitdiff.learning.photo_features import photo_features
from fitdiff.learning.recogniser import Recogniser
from fitdiff.learning.regressor import Regressor
from fitdiff.learning.report import write_report
from fitdiff.learning.schedule import Schedule
from fitdiff.learning.sources import TemplateShape
from fitdiff.learning.train_autoencoder import AutoencoderTraining, autoencoder_digest, load_autoencoder
from fitdiff.learning.train_diffusion import DiffusionTraining, load_unet
from fitdiff.learning.train_iris import train_iris_reader
from fitdiff.learning.train_regressor import LARGEST_SIZE, RegressorData, RegressorTraining, reduced, reduced_mask
from fitdiff.learning.trainer import Runtime, run_training
from fitdiff.learning.unwrapping import landmark_texture_places

REGRESSOR = "regressor"
"""Kind of the regressor's checkpoint."""
IRIS = "iris"
"""Kind of the iris reader's."""


@dataclass(frozen=True)
class Workspace:
    """A recipe, where its files lie, and where it computes."""

    config: RecipeConfig
    work: Path
    recogniser: Path
    """ONNX file of the face recogniser."""
    runtime: Runtime
    source: Path | None = None
    """MakeHuman source folder: for data generation, and for the neutral renders of the retrieval test."""

    def data(self, split: str) -> FaceData:
        """The `train` or `test` data set, checked against the configuration."""
        data = FaceData(self.work / "data" / split)
        wanted = self.config.data.identities if split == "train" else self.config.data.held_out
        found = (data.size, len(data), data.chips_per_identity)
        expected = (self.config.data.map_size, wanted, self.config.data.chips)
        if found != expected:
            raise RecipeError(
                f"{data.folder}: expected (map size, identities, chips) {expected} for configuration "
                f"'{self.config.name}', found {found}; use another --work folder or generate the data again"
            )
        return data

    @property
    def template_path(self) -> Path:
        """Folder of the template head."""
        return self.work / "template"

    def makehuman(self) -> Path:
        """The MakeHuman source folder, for data generation."""
        if self.source is None:
            raise RecipeError("data generation needs MakeHuman's data: give --data DIR or set its environment variable")
        return self.source

    def load_recogniser(self) -> Recogniser:
        """The face recogniser as a torch module."""
        if not self.recogniser.is_file():
            raise RecipeError(f"{self.recogniser} does not exist; build the face networks, or give --recogniser")
        return Recogniser(self.recogniser).to(self.runtime.device)

    @property
    def autoencoder_path(self) -> Path:
        """The autoencoder's checkpoint."""
        return self.work / "autoencoder.pt"

    @property
    def diffusion_path(self) -> Path:
        """The denoiser's checkpoint."""
        return self.work / "diffusion.pt"

    @property
    def photos_path(self) -> Path:
        """Folder of the data set of whole photos."""
        return self.work / "data" / "photos"

    @property
    def regressor_path(self) -> Path:
        """The trained regressor."""
        return self.work / "regressor.pt"

    @property
    def iris_path(self) -> Path:
        """The trained reader of iris colours."""
        return self.work / "iris.pt"

    @property
    def latents_path(self) -> Path:
        """The training set's latents."""
        return self.work / "latents.npz"


def generate_data(workspace: Workspace, processes: int) -> None:
    """Generate the data sets and the template head, or what is missing of them."""
    sources.generate_data(
        workspace.config.data, workspace.makehuman(), workspace.work / "data", workspace.template_path, processes
    )


def train_autoencoder(workspace: Workspace) -> None:
    """Train the reflectance autoencoder, or continue its training."""
    training = AutoencoderTraining(
        workspace.config, workspace.data("train"), workspace.load_recogniser(), workspace.runtime
    )
    run_training(training, workspace.autoencoder_path, "autoencoder")


def train_diffusion(workspace: Workspace) -> None:
    """Compute embeddings and latents where they are missing, then train the denoiser or continue its training."""
    data = workspace.data("train")
    embeddings = dataset_embeddings(
        data, workspace.load_recogniser(), workspace.runtime, workspace.work / "embeddings.npy"
    )
    autoencoder = load_autoencoder(workspace.config, workspace.autoencoder_path)
    latents = dataset_latents(
        data, autoencoder, workspace.runtime, workspace.latents_path, autoencoder_digest(workspace.config)
    )
    training = DiffusionTraining(workspace.config, latents, data.shapes, embeddings, workspace.runtime)
    run_training(training, workspace.diffusion_path, "diffusion")


def generate_photos(workspace: Workspace, processes: int) -> None:
    """Generate the whole photos that the regressor is trained on and the template head, or what is missing of them."""
    sources.generate_photos(
        workspace.config.data,
        workspace.config.regressor,
        workspace.makehuman(),
        workspace.photos_path,
        workspace.template_path,
        processes,
    )


def train_regressor(workspace: Workspace) -> None:
    """Compute the photos' features where they are missing, then train the regressor, unless it is trained already."""
    digest = regressor_digest(workspace.config)
    if load_checkpoint(workspace.regressor_path, REGRESSOR, digest) is not None:
        return
    template = load_template(workspace.template_path)
    shape, masks = TemplateShape.of(template), load_masks(workspace.photos_path)
    features = _features(workspace, template)
    shards = list(iterate_shards(workspace.photos_path))
    directions = shape.directions[shape.on_face(masks["face"])]
    size = min(LARGEST_SIZE, workspace.config.data.map_size)
    albedo = [np.rint(reduced(np.asarray(shard.maps[:, :3]), size)).astype(np.uint8) for shard in shards]
    data = RegressorData(
        features,
        shapes=np.concatenate([shard.shape for shard in shards]),
        albedo=np.concatenate(albedo),
        chart=reduced_mask(masks["chart"], size),
        skin=reduced_mask(masks["skin"], size),
        places=landmark_texture_places(template),
        metric=np.einsum("vck,vcl->kl", directions, directions),
    )
    training = RegressorTraining(workspace.config.regressor, data, workspace.runtime)
    save_checkpoint(workspace.regressor_path, REGRESSOR, digest, training.run().state_dict())


def export_trained_regressor(workspace: Workspace, bundle: Path) -> None:
    """Put the trained regressor into a bundle that is complete."""
    state = load_checkpoint(workspace.regressor_path, REGRESSOR, regressor_digest(workspace.config))
    if state is None:
        raise RecipeError(f"{workspace.regressor_path} does not exist; run train-regressor first")
    export_regressor(Regressor.restore(state), bundle)


def regressor_digest(config: RecipeConfig) -> str:
    """What the regressor's checkpoint depends on."""
    return config.digest("regressor")


def train_iris(workspace: Workspace) -> None:
    """Train the reader of iris colours on the regressor's photos, unless it is trained already."""
    digest = iris_digest(workspace.config)
    if load_checkpoint(workspace.iris_path, IRIS, digest) is not None:
        return
    features = _features(workspace, load_template(workspace.template_path))
    iris = np.concatenate([shard.attributes["iris"] for shard in iterate_shards(workspace.photos_path)])
    reader = train_iris_reader(workspace.config.iris, features["chip"], features["places"], iris)
    save_checkpoint(workspace.iris_path, IRIS, digest, reader.state_dict())


def export_trained_iris(workspace: Workspace, bundle: Path) -> None:
    """Put the trained reader of iris colours into a bundle that is complete."""
    state = load_checkpoint(workspace.iris_path, IRIS, iris_digest(workspace.config))
    if state is None:
        raise RecipeError(f"{workspace.iris_path} does not exist; run train-iris first")
    reader = IrisReader(IRIS_COLOURS)
    reader.load_state_dict(state)
    export_iris_reader(reader, bundle)


def iris_digest(config: RecipeConfig) -> str:
    """What the iris reader's checkpoint depends on."""
    return config.digest("regressor", "iris")


def _features(workspace: Workspace, template: Template) -> dict[str, np.ndarray]:
    """What the front-end says of the photos. The landmark network is looked for beside the recogniser."""
    return photo_features(
        workspace.photos_path,
        workspace.recogniser.parent,
        workspace.load_recogniser().cpu(),
        template.landmarks(template.positions),
        workspace.config.regressor.recolourings,
        workspace.work / "photo-features.npz",
    )


def _latents(workspace: Workspace) -> LatentSet:
    return load_latents(workspace.latents_path, autoencoder_digest(workspace.config))


def export(workspace: Workspace, bundle: Path) -> None:
    """Write the generator's graphs and their manifest entries to the bundle's folder."""
    config, template = workspace.config, TemplateShape.load(workspace.template_path)
    bundle.mkdir(parents=True, exist_ok=True)
    if not (bundle / RECOGNISER).exists():
        if not workspace.recogniser.is_file():
            raise RecipeError(f"{workspace.recogniser} does not exist; build the face networks, or give --recogniser")
        shutil.copyfile(workspace.recogniser, bundle / RECOGNISER)
    model = TrainedModel(
        unet=load_unet(config, workspace.diffusion_path, template.coefficients),
        decoder=load_autoencoder(config, workspace.autoencoder_path).decoder,
        latents=_latents(workspace).statistics,
        schedule=Schedule.cosine(config.diffusion.train_timesteps, config.diffusion.prediction),
        template=workspace.template_path,
    )
    export_bundle(config, model, bundle)


def run_evaluation(workspace: Workspace, bundle: Path, command: str) -> Path:
    """Evaluate on the held-out identities and write the table and the pictures; returns the table's path."""
    config, template = workspace.config, TemplateShape.load(workspace.template_path)
    train, test = workspace.data("train"), workspace.data("test")
    recogniser = workspace.load_recogniser()
    face = template.on_face(test.face)

    def embeddings(data: FaceData, name: str) -> np.ndarray:
        return dataset_embeddings(data, recogniser, workspace.runtime, workspace.work / name)

    subject = Subject(
        autoencoder=load_autoencoder(config, workspace.autoencoder_path),
        unet=load_unet(config, workspace.diffusion_path, template.coefficients),
        schedule=Schedule.cosine(config.diffusion.train_timesteps, config.diffusion.prediction),
        latents=_latents(workspace).statistics,
        train=train,
        test=test,
        train_embeddings=embeddings(train, "embeddings.npy"),
        test_embeddings=embeddings(test, "test-embeddings.npy"),
        directions=template.directions[face],
        mean_head=template.positions[face],
        runtime=workspace.runtime,
    )
    renderer = None
    if config.evaluation.retrieval_identities and workspace.source is not None:
        from fitdiff.learning.neutral_render import neutral_renderer  # needs numba, which training does without

        renderer = neutral_renderer(workspace.source, test.size, recogniser, workspace.runtime.device)
    result = evaluate(subject, config.evaluation, renderer)
    folder = workspace.work / "evaluation"
    write_grids(folder, subject, result)
    size = bundle_size(bundle) if bundle.is_dir() else None
    return write_report(folder, result, test.attributes, size, command)
