"""What the recipe takes from the generator of synthetic faces: data sets and the template head's shape basis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.faces.dataset import SEED_RANGES, ShardSpec
from fitdiff.faces.template import DESCRIPTION_NAME, Template, load_template
from fitdiff.learning.config import DataConfig, RegressorConfig


@dataclass(frozen=True)
class TemplateShape:
    """Linear shape space of the template head's skin, metres.

    Attributes:
        positions: vertices of the mean head [V,3].
        directions: offsets of all vertices per unit of each whitened coefficient [V,3,K].
        uv: texture coordinates [V,2], origin top-left.
    """

    positions: np.ndarray
    directions: np.ndarray
    uv: np.ndarray

    @property
    def coefficients(self) -> int:
        """Number K of shape coefficients."""
        return self.directions.shape[-1]

    def on_face(self, face: np.ndarray) -> np.ndarray:
        """Which vertices lie on the front of the face: bool [V], from the face mask [S,S]."""
        size = face.shape[0]
        column, row = np.clip((self.uv * size).astype(int), 0, size - 1).T
        return face[row, column]

    @classmethod
    def load(cls, folder: Path) -> TemplateShape:
        """Read the folder of a template head."""
        return cls.of(load_template(folder))

    @classmethod
    def of(cls, template: Template) -> TemplateShape:
        """The skin of a template head."""
        skin, _ = template.parts["skin"]
        return cls(template.positions[skin], template.basis[:, skin].transpose(1, 2, 0), template.uv[skin])


def generate_data(config: DataConfig, source: Path, data: Path, template: Path, processes: int) -> None:
    """Write the training and held-out data sets and the template head, or what is missing of them.

    Args:
        config: sizes.
        source: MakeHuman source folder.
        data: folder of the data sets; they become `train` and `test` in it.
        template: folder of the template head.
        processes: worker processes, 0 for one per core.
    """
    from fitdiff.faces.dataset_writer import write_dataset  # needs numba, which training does without

    for split, count in (("train", config.identities), ("test", config.held_out)):
        spec = ShardSpec(
            map_size=config.map_size,
            chips=config.chips,
            first_seed=SEED_RANGES[split].start,
            count=count,
            shard_size=config.shard_size,
        )
        write_dataset(source, data / split, spec, processes)
    _write_template(source, template)


def generate_photos(
    data: DataConfig, config: RegressorConfig, source: Path, folder: Path, template: Path, processes: int
) -> None:
    """Write the data set of whole photos and the template head, or what is missing of them.

    Args:
        data: sizes of maps and shards.
        config: numbers of people and photos.
        source: MakeHuman source folder.
        folder: folder of the data set.
        template: folder of the template head.
        processes: worker processes, 0 for one per core.
    """
    from fitdiff.faces.dataset_writer import write_dataset  # needs numba, which training does without

    spec = ShardSpec(
        map_size=data.map_size,
        chips=config.photos,
        selfie_size=config.photo_size,
        first_seed=SEED_RANGES["train"].start,
        count=config.identities,
        shard_size=data.shard_size,
    )
    write_dataset(source, folder, spec, processes)
    _write_template(source, template)


def _write_template(source: Path, template: Path) -> None:
    from fitdiff.faces.template import write_template

    if not (template / DESCRIPTION_NAME).exists():
        template.mkdir(parents=True, exist_ok=True)
        write_template(source, template)
