"""Writes data sets of synthetic people; the format is described in :mod:`fitdiff.faces.dataset`."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from fitdiff.errors import DatasetError
from fitdiff.faces.chips import cut_chip
from fitdiff.faces.dataset import (
    ATTRIBUTES,
    CHIP_SIZE,
    LANDMARK_COUNT,
    MAP_CHANNELS,
    ShardSpec,
    complete_shards,
    encode_maps,
    load_spec,
    save_spec,
    shard_path,
)
from fitdiff.faces.generator import FaceGenerator, Person
from fitdiff.faces.head_model import load_head_model, store_atomically
from fitdiff.faces.masks import build_masks, head_masks
from fitdiff.faces.parallel import Progress, run_tasks
from fitdiff.faces.shape_basis import ShapeBasis, load_shape_basis

CHIP_PHOTO_SIZE = 208
"""Side of photos that are rendered only for their chip: its face has about the chip's resolution."""


class ShardWriter:
    """Generates people and writes their shard."""

    def __init__(self, root: Path, spec: ShardSpec):
        model = load_head_model(root)
        self.spec = spec
        self.generator = FaceGenerator(model, spec.map_size)
        self.basis: ShapeBasis = load_shape_basis(model)
        painter = self.generator.painter
        self.masks = build_masks(painter.geometry, painter.regions)

    def write(self, folder: Path, shard: int) -> None:
        """Write one shard under a hidden name and rename it when it is complete.

        Raises:
            DatasetError: the disk is full or the folder cannot be written.
        """
        final = shard_path(folder, shard)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{final.name}."))
        try:
            self._fill(temporary, self.spec.seeds(shard))
            temporary.chmod(0o755)
            os.rename(temporary, final)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DatasetError(
                    f"no space left while writing {final}; complete shards are kept, free some space and run again"
                ) from None
            raise DatasetError(f"cannot write {final}: {error}") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _fill(self, folder: Path, seeds: range) -> None:
        spec, n = self.spec, len(seeds)
        side, views, photo = spec.map_size, spec.chips, spec.selfie_size
        arrays: dict[str, np.ndarray] = {
            "maps": np.empty((n, len(MAP_CHANNELS), side, side), np.uint8),
            "shape": np.empty((n, spec.components), np.float32),
            "chips": np.empty((n, views, CHIP_SIZE, CHIP_SIZE, 3), np.uint8),
            "attributes": np.zeros(n, ATTRIBUTES),
        }
        if photo:
            arrays["selfies"] = np.empty((n, views, photo, photo, 3), np.uint8)
            arrays["points"] = np.empty((n, views, LANDMARK_COUNT, 2), np.float32)
        for row, seed in enumerate(seeds):
            person = self.generator.person(seed)
            maps = person.maps
            arrays["maps"][row] = encode_maps(maps.diffuse, maps.specular, maps.normal)
            arrays["shape"][row] = self.basis.encode(person.vertices)[: spec.components]
            arrays["attributes"][row] = self._attributes(person)
            size = photo or CHIP_PHOTO_SIZE
            for index in range(views):
                view = self.generator.random_view(person, index, size, spec.scene_seed)
                picture = self.generator.photo(person, view, index, size)
                points = self.generator.landmarks(person, view, picture, size)
                arrays["chips"][row, index] = cut_chip(picture.image, points)
                if photo:
                    arrays["selfies"][row, index] = picture.image
                    arrays["points"][row, index] = points
        total = 0
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
            total += array.nbytes
        summary = {"first_seed": seeds.start, "count": n, "bytes": total}
        (folder / "shard.json").write_text(json.dumps(summary) + "\n")

    def _attributes(self, person: Person) -> tuple:
        appearance = person.appearance
        albedo = person.maps.diffuse[self.masks["skin"]].mean(0)
        return (person.seed, self.generator.skin_tone(person), person.traits.years, person.traits.male, albedo,
                appearance.iris, appearance.hair_colour, appearance.beard, appearance.makeup)  # fmt: skip


def write_dataset(root: Path, folder: Path, spec: ShardSpec, processes: int = 0, quiet: bool = False) -> None:
    """Write a data set, or what is missing of it.

    Args:
        root: MakeHuman source folder.
        folder: data set folder; an existing one must have the same specification.
        processes: number of worker processes, 0 for one per core.
        quiet: no progress bar.

    Raises:
        DatasetError: the folder holds another data set, or a shard cannot be written.
    """
    folder = Path(folder)
    try:
        if (folder / "dataset.json").exists():
            existing = load_spec(folder)
            if existing != spec:
                raise DatasetError(
                    f"{folder} holds another data set ({existing}), not {spec}; choose another folder or delete it"
                )
        save_spec(folder, spec)
    except OSError as error:
        raise DatasetError(f"cannot write {folder}: {error}") from None
    for leftover in folder.glob(".shard-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    done = set(complete_shards(folder))
    missing = [shard for shard in range(spec.shard_count) if shard not in done]
    model = load_head_model(root)
    load_shape_basis(model)  # Kept on disk, so that not every worker computes it.
    _save_masks(folder, head_masks(model, spec.map_size))
    progress = Progress(spec.shard_count, len(done), "shards", spec.shard_size, quiet)
    tasks = [(folder, shard) for shard in missing]
    for _ in run_tasks(partial(ShardWriter, root, spec), ShardWriter.write, tasks, processes):
        progress.advance()
    progress.finish()


def _save_masks(folder: Path, masks: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: mask.astype(np.uint8) * 255 for name, mask in masks.items()})
    try:
        store_atomically(folder / "masks.npz", buffer.getvalue())
    except OSError as error:
        raise DatasetError(f"cannot write {folder / 'masks.npz'}: {error}") from None
