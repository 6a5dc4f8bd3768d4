"""The face chip: the aligned 150x150 image that the recognition network was trained on.

dlib fits five template points to the same points of the face by a similarity and samples the photo there. dlib finds
the points with landmark networks of its own; here they are the landmarks of the face mesh that lie on them.
"""

import numpy as np

from .warp import after_box_filter, box_filter, warp

SIZE = 150
"""Side of the chip in pixels."""

PADDING = 0.25
"""Margin around the template's unit square, relative to its side."""

TEMPLATE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""Where the five points lie in the unit square: dlib's `get_face_chip_details` for its five-point landmarks."""

TEMPLATE_LANDMARKS = (263, 362, 33, 133, 2)
"""Landmarks of the template's points: left eye's outer and inner corner, right eye's, base of the nose."""

BOX_FILTER_FROM = 2
"""From this scale on the photo is shrunk first; dlib goes down an image pyramid there."""


def template_points() -> np.ndarray:
    """The template in chip coordinates 0..150, [5, 2]."""
    return (PADDING + TEMPLATE) / (2 * PADDING + 1) * SIZE


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity [2, 3] that takes points [n, 2] to `target` [n, 2] with the least squared error.

    Rotation, uniform scale and translation, no reflection: the closed form of Umeyama (1991) in two dimensions.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred, wanted = source - source_mean, target - target_mean
    spread = (centred**2).sum()
    a = (centred * wanted).sum() / spread
    b = (centred[:, 0] * wanted[:, 1] - centred[:, 1] * wanted[:, 0]).sum() / spread
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def chip_similarity(points: np.ndarray) -> np.ndarray:
    """[2, 3] map from chip coordinates 0..150 to photo pixels, from the face's landmarks [478, 2 or 3]."""
    return fit_similarity(template_points(), points[list(TEMPLATE_LANDMARKS), :2])


def scale_of(similarity: np.ndarray) -> float:
    """Photo pixels per chip coordinate."""
    return float(np.hypot(similarity[0, 0], similarity[1, 0]))


def pixel_transform(similarity: np.ndarray) -> np.ndarray:
    """[2, 3] map from chip pixel indices to photo pixels.

    dlib's rectangles are one pixel narrower than their width says: chip pixel i samples chip coordinate
    u = (i - 74.5) k + 75 with k = (150 s - 1) / (149 s) at scale s.
    """
    scale = scale_of(similarity)
    k = (SIZE * scale - 1) / ((SIZE - 1) * scale)
    linear = similarity[:, :2]
    first = SIZE / 2 - (SIZE - 1) / 2 * k
    return np.column_stack([linear * k, linear @ np.full(2, first) + similarity[:, 2]])


def extract_chip(photo: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """The chip [150, 150, 3] in 0..255 of an RGB photo in 0..255; 0 outside of the photo."""
    transform = pixel_transform(similarity)
    scale = scale_of(similarity)
    if scale >= BOX_FILTER_FROM:
        factor = int(scale)
        photo, transform = box_filter(photo, factor), after_box_filter(transform, factor)
    return warp(photo, transform, SIZE, SIZE, replicate=False)
