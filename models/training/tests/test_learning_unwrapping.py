"""Photos laid out as textures, and the network that reads albedo in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fitdiff.learning.albedo_refiner import AlbedoRefiner
from fitdiff.learning.train_refiner import varied
from fitdiff.learning.unwrapping import Unwrapping, texel_landmarks

SIZE = 32


def _places() -> np.ndarray:
    """Landmarks in the corners of a square, and some within."""
    inner = np.random.default_rng(0).uniform(0.25, 0.75, (464, 2))
    return np.vstack([[[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]], inner])


def test_texels_lie_between_their_landmarks() -> None:
    places = _places()
    corners, shares, inside = texel_landmarks(places, SIZE)
    centres = (np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1).reshape(-1, 2) + 0.5) / SIZE
    np.testing.assert_array_equal(inside, (np.abs(centres - 0.5) < 0.3).all(1))
    np.testing.assert_allclose((places[corners] * shares[..., None]).sum(1)[inside], centres[inside], atol=1e-9)
    assert shares.min() > -1e-9 and (shares[~inside] == 0).all()


def test_a_photo_that_is_an_affine_image_of_the_texture_is_brought_back() -> None:
    places = _places()
    unwrapping = Unwrapping(SIZE)
    unwrapping.place(places)
    # Columns and rows of the chip in its colours, which bilinear samples keep.
    rows, columns = np.mgrid[0:150, 0:150] / 149.0
    chip = torch.from_numpy(np.stack([columns, rows, rows])[None]).float()
    linear, offset = np.array([[100.0, 20.0], [-15.0, 90.0]]), np.array([12.0, 40.0])
    pixels = np.vstack([places @ linear.T + offset, np.zeros((10, 2))])
    texture = unwrapping(chip, torch.from_numpy(pixels[None]).float())[0]
    row, column = 20, 11
    x, y = linear @ [(column + 0.5) / SIZE, (row + 0.5) / SIZE] + offset
    assert texture[:2, row, column].tolist() == pytest.approx([x / 149, y / 149], abs=1e-5)
    assert texture[:, 0, 0].tolist() == [0, 0, 0], "no landmarks around it"


def test_a_refiner_starts_as_what_is_known() -> None:
    torch.manual_seed(0)
    refiner = AlbedoRefiner((16, 16, 32), SIZE)
    texture, albedo = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 3, SIZE // 2, SIZE // 2)
    found = refiner(texture, albedo, torch.zeros(2, 3))
    torch.testing.assert_close(found[:, :, ::2, 1::2], albedo)
    assert AlbedoRefiner.widths_of(refiner.state_dict()) == (16, 16, 32)


def test_mirrored_photos_are_those_of_mirrored_people_seen_from_the_other_side() -> None:
    generator = torch.Generator().manual_seed(1)
    albedo = torch.linspace(0.2, 0.8, 8).expand(64, 3, 8, 8)
    rotation = torch.tensor([0.1, 0.2, 0.3]).expand(64, 3)
    texture, coarse, turned, wanted = varied((albedo, albedo, rotation, albedo), generator)
    mirrored = wanted[:, 0, 0, 0] > 0.5
    assert 10 < mirrored.sum() < 54
    torch.testing.assert_close(coarse, wanted)
    expected = torch.where(mirrored[:, None], torch.tensor([0.1, -0.2, -0.3]), rotation)
    torch.testing.assert_close(turned, expected)
    assert (texture[mirrored].diff(dim=3) <= 0).all() and (texture[~mirrored].diff(dim=3) >= 0).all()
    assert (texture - wanted).abs().mean() > 0.02, "cameras expose differently"
