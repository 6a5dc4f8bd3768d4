"""What the face front-end says of photos: the inputs of the regressor.

Landmarks are brought to the template head by the similarity that fits best, so that neither the photo's size nor the
head's pose is in what is left of them; the rotation is given beside them. Of the recogniser, the descriptor and means
of its inner activations over a coarse grid are kept: early ones know colours, late ones parts of faces. The chip itself
is kept with the landmarks' places in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor
from tqdm import tqdm

from face_nets.chip import chip_similarity, extract_chip, pixel_transform
from face_nets.landmarks import FaceMesh, region_of_landmarks
from fitdiff.faces.chips import PIXEL_CENTRE
from fitdiff.faces.dataset import iterate_shards, load_spec, srgb_decode, srgb_encode
from fitdiff.faces.selfie import LUMINANCE
from fitdiff.faces.streams import stream
from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.recogniser import PERCEPTUAL_LAYERS, Recogniser

POOLING = {"blk2": (7, 7), "blk6": (5, 3), "blk9": (2, 2)}
"""Side and stride of the squares over which each activation is averaged: 5x5, 5x5 and 4x4 of them."""

EXPOSURE, BALANCE, GAMMA, SATURATION = 0.35, 0.08, 0.10, 0.15
"""Deviations of the logarithms of a recoloured photo's exposure, of each channel's gain, of its contrast and of its
saturation."""
GREY = 0.06
"""Share of recoloured photos that are black and white."""
SHARPNESS = 1.0
"""Largest share of the detail finer than a pixel that recolouring adds to a chip or takes from it."""


def pooled(activations: dict[str, Tensor]) -> dict[str, Tensor]:
    """Activations [B,C,h,w] by layer to their means over each layer's grid, [B,C*n*n]."""
    return {name: F.avg_pool2d(activations[name], *POOLING[name]).flatten(1) for name in PERCEPTUAL_LAYERS}


def normalised_landmarks(points: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of a photo as offsets from the template head's.

    Args:
        points: landmarks [478,3], x right, y down, z away from the camera, in any unit.
        template: the mean head's landmarks [478,3], x to the person's left, y up, z to the front, metres.

    Returns:
        Offsets [478,3] in metres after the similarity that brings the points nearest to the template's (Umeyama, IEEE
        PAMI 13(4), 1991), and the rotation from the head to the camera as a vector [3], radians.
    """
    seen = points * [1, -1, -1]
    own, wanted = seen - seen.mean(0), template - template.mean(0)
    left, spread, right = np.linalg.svd(wanted.T @ own)
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = left * signs @ right
    scale = (spread * signs).sum() / np.square(own).sum()
    return scale * own @ rotation.T - wanted, rotation_vector(rotation.T)


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Axis times angle [3] of a rotation matrix [3,3]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotation).as_rotvec()


def recoloured(chip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A chip [150,150,3] in 0..255 as another camera would expose, balance and sharpen it."""
    gain = np.exp(EXPOSURE * rng.normal() + BALANCE * rng.normal(size=3))
    linear = srgb_decode(chip / 255) ** np.exp(GAMMA * rng.normal()) * gain
    saturation = 0.0 if rng.random() < GREY else np.exp(SATURATION * rng.normal())
    grey = linear @ LUMINANCE[:, None]
    encoded = srgb_encode(grey + (linear - grey) * saturation)
    detail = encoded - ndimage.gaussian_filter(encoded, (1, 1, 0))
    return np.clip(encoded + rng.uniform(-SHARPNESS, SHARPNESS) * detail, 0, 1) * 255


def photo_features(
    folder: Path, bundle: Path, recogniser: Recogniser, template: np.ndarray, recolourings: int, path: Path
) -> dict[str, np.ndarray]:
    """Features of all whole photos of a data set; computed once and kept in the file at `path`, and again
    when it holds those of other numbers of people, photos or colourings.

    Args:
        folder: a data set with whole photos.
        bundle: folder of the bundle, for its landmark network.
        recogniser: the bundle's.
        template: the mean head's landmarks [478,3], metres.
        recolourings: how many times each photo is seen once more in other colours.
        path: file that keeps them.

    Returns:
        `landmarks` [N,C,478,3] and `rotation` [N,C,3] as :func:`normalised_landmarks` gives them, `descriptor`
        [N,C,R,128] and the pooled activations [N,C,R,D] by layer, where C counts photos and R colourings, and
        `places` [N,C,478,2], the landmarks in pixels of the chip; float32. `chip` [N,C,3,150,150], uint8.
    """
    spec = load_spec(folder)
    if path.exists():
        with np.load(path) as file:
            if file["descriptor"].shape[:3] == (spec.count, spec.chips, 1 + recolourings):
                return dict(file)
    mesh = FaceMesh(bundle)
    rows: dict[str, list[np.ndarray]] = {}
    for shard in tqdm(list(iterate_shards(folder)), desc="photo features", unit="shard", dynamic_ncols=True):
        for person in range(len(shard)):
            seed = int(shard.attributes["seed"][person])
            photos = zip(shard.selfies[person], shard.points[person], strict=True)
            views = [
                _features(np.asarray(photo, float), points, mesh, recogniser, template, recolourings, (seed, view))
                for view, (photo, points) in enumerate(photos)
            ]
            for name in views[0]:
                rows.setdefault(name, []).append(np.stack([view[name] for view in views]))
    features = {name: np.stack(values) for name, values in rows.items()}
    with atomic_write(path) as file:
        np.savez(file, **features)
    return features


@torch.no_grad()
def _features(
    photo: np.ndarray,
    points: np.ndarray,
    mesh: FaceMesh,
    recogniser: Recogniser,
    template: np.ndarray,
    recolourings: int,
    key: tuple[int, int],
) -> dict[str, np.ndarray]:
    found, chip, places = find_face(photo, points, mesh)
    offsets, rotation = normalised_landmarks(found, template)
    rng = stream(key[0], "recoloured photo", key[1])
    chips = np.stack([chip, *(recoloured(chip, rng) for _ in range(recolourings))])
    images = torch.from_numpy(chips.astype(np.float32)).permute(0, 3, 1, 2) / 255
    descriptor, *layers = recogniser(images, ("descriptor", *PERCEPTUAL_LAYERS))
    activations = pooled(dict(zip(PERCEPTUAL_LAYERS, layers, strict=True)))
    return {
        "landmarks": offsets.astype(np.float32),
        "rotation": rotation.astype(np.float32),
        "places": places.astype(np.float32),
        "chip": np.rint(np.clip(chip, 0, 255)).astype(np.uint8).transpose(2, 0, 1),
        "descriptor": descriptor.numpy(),
        **{name: value.numpy() for name, value in activations.items()},
    }


def find_face(photo: np.ndarray, points: np.ndarray, mesh: FaceMesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks [478,3] in photo pixels, chip [150,150,3] in 0..255 and landmarks in chip pixels [478,2] of the face
    at these true landmarks [478,2]."""
    true = np.column_stack([points - PIXEL_CENTRE, np.zeros(len(points))])
    first = mesh.locate(photo, region_of_landmarks(true))
    found = mesh.locate(photo, region_of_landmarks(first.points)).points
    return found, *chip_and_places(photo, found)


def chip_and_places(photo: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chip [150,150,3] in 0..255 of the face with these landmarks [478,3] in photo pixels, and their places in its
    pixels [478,2]."""
    similarity = chip_similarity(landmarks)
    to_photo = pixel_transform(similarity)
    places = (landmarks[:, :2] - to_photo[:, 2]) @ np.linalg.inv(to_photo[:, :2]).T
    return extract_chip(photo, similarity), places
