"""Neutral renders of heads given by shape coefficients and maps, for the retrieval test.

Generated and true heads pass through the same renderer with the same bald, shaven look and studio light, so that what
differs between their embeddings is shape and maps alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fitdiff.faces.appearance import HAIR_STYLES
from fitdiff.faces.chips import cut_chip
from fitdiff.faces.dataset import F0_MAX, srgb_decode
from fitdiff.faces.generator import FaceGenerator, Person
from fitdiff.faces.head_model import load_head_model
from fitdiff.faces.selfie import neutral_view
from fitdiff.faces.shape_basis import head_origin, load_shape_basis
from fitdiff.faces.skin import SkinMaps
from fitdiff.learning.embeddings import embed_images
from fitdiff.learning.evaluate import Maps
from fitdiff.learning.recogniser import Recogniser

PHOTO_SIZE = 208
ROUGHNESS = 0.45
"""Perceptual roughness of skin; the model has no map of it."""
TEMPLATE_SEED = 0
"""Identity that lends its irises and lashes to every render."""


def neutral_renderer(
    source: Path, map_size: int, recogniser: Recogniser, device: torch.device
) -> Callable[[np.ndarray, Maps], np.ndarray]:
    """A function from shape coefficients [B,K] and maps to embeddings [B,128] of neutral renders.

    Args:
        source: MakeHuman source folder.
        map_size: side of the maps.
        recogniser: the face recogniser, on `device`.
        device: where embeddings are computed.
    """
    model = load_head_model(source)
    generator, basis = FaceGenerator(model, map_size), load_shape_basis(model)
    lender = generator.person(TEMPLATE_SEED)
    look = dataclasses.replace(lender.appearance.shaven(), hair_style=HAIR_STYLES.index("bald"))
    # The basis has its origin between the ears; the generator works in the source data's frame.
    origin = head_origin(model.topology, model.topology.rest)
    view = neutral_view(0, PHOTO_SIZE)

    def chip(code: np.ndarray, diffuse: np.ndarray, specular: np.ndarray, normals: np.ndarray) -> np.ndarray:
        maps = SkinMaps(
            diffuse=srgb_decode(diffuse).transpose(1, 2, 0).astype(np.float32),
            specular=(specular[0] * F0_MAX).astype(np.float32),
            roughness=np.full(specular.shape[1:], ROUGHNESS, np.float32),
            normal=normals.transpose(1, 2, 0).astype(np.float32),
            beard=np.zeros(specular.shape[1:], np.float32),
        )
        person = Person(TEMPLATE_SEED, lender.traits, look, basis.decode(code) + origin, maps)
        photo = generator.photo(person, view, size=PHOTO_SIZE)
        return cut_chip(photo.image, generator.landmarks(person, view, photo, PHOTO_SIZE))

    def embed(codes: np.ndarray, maps: Maps) -> np.ndarray:
        chips = [chip(*row) for row in zip(codes, maps["diffuse"], maps["specular"], maps["normals"], strict=True)]
        return embed_images(recogniser, np.stack(chips), device)

    return embed
