"""What a camera makes of a scene: white balance, exposure, sharpening, and the eyes' whites in it."""

from dataclasses import replace

import numpy as np
import pytest
from faces_support import generator, needs_source

from fitdiff.faces.dataset import srgb_decode
from fitdiff.faces.renderer import Lighting
from fitdiff.faces.selfie import LUMINANCE, develop, neutral_view, sample_lighting, white_balance


def lamp(colour: tuple[float, float, float], direction: tuple[float, float, float] = (0, 0, 1)) -> Lighting:
    return Lighting(np.array([direction], float), np.array([colour]), np.array([0.3]), np.zeros(3), np.zeros(3))


def plain(linear: np.ndarray, **changes: object) -> np.ndarray:
    """A developed picture, without noise and JPEG, at the exposure that its radiance has."""
    view = replace(neutral_view(), **changes)
    return develop(linear, np.zeros(linear.shape[:2]), view, np.random.default_rng(0))


def test_a_white_balanced_lamp_is_white_and_as_bright():
    light = np.array([1.4, 1.0, 0.5])
    balanced = light * white_balance(lamp(tuple(light)), 1.0)
    np.testing.assert_allclose(balanced, light @ LUMINANCE)
    np.testing.assert_allclose(white_balance(lamp(tuple(light)), 0.0), 1)


def test_half_of_the_white_balance_takes_half_of_the_cast_in_stops():
    light = np.array([1.4, 1.0, 0.5])
    half = light * white_balance(lamp(tuple(light)), 0.5)
    assert np.log(half[0] / half[2]) == pytest.approx(np.log(light[0] / light[2]) / 2)


def test_light_from_the_side_counts_for_less_than_from_the_front():
    front, side = lamp((1, 1, 1)), lamp((1.4, 1.0, 0.5), (1, 0, 0))
    both = Lighting(*(np.concatenate([getattr(front, name), getattr(side, name)]) for name in ("directions", "colours",
                    "widths")), np.zeros(3), np.zeros(3))  # fmt: skip
    full = white_balance(side, 1.0)
    assert 0 < np.log(white_balance(both, 1.0)[2]) < 0.5 * np.log(full[2])


def test_random_light_is_balanced_towards_white():
    rng = np.random.default_rng(0)
    before, after = [], []
    for _ in range(200):
        lighting, _ = sample_lighting(rng)
        facing = np.clip(lighting.directions @ [0, 0, 1], 0, None) @ lighting.colours + lighting.ambient_up
        before.append(np.log(facing[0] / facing[2]))
        after.append(np.log(facing[0] / facing[2] * np.divide(*white_balance(lighting, 0.75)[[0, 2]])))
    assert np.square(after).mean() < 0.25 * np.square(before).mean()


def test_sharpening_overshoots_on_both_sides_of_an_edge_and_nowhere_else():
    scene = np.full((32, 32, 3), 0.1)
    scene[:, 16:] = 0.3
    soft = plain(scene)
    sharp = plain(scene, sharpening=(0.8, 1.0)).astype(int)
    assert (sharp[:, 15] < soft[:, 15]).all() and (sharp[:, 16] > soft[:, 16]).all()
    np.testing.assert_array_equal(sharp[:, :10], soft[:, :10])
    np.testing.assert_array_equal(sharp[:, 22:], soft[:, 22:])


def test_mid_grey_stays_mid_grey_and_light_is_compressed():
    # sRGB has 118 for a reflectance of 18 %, and 255 for 100 %.
    assert np.ptp(plain(np.full((8, 8, 3), 0.18))) == 0
    assert plain(np.full((8, 8, 3), 0.18)).mean() == pytest.approx(118, abs=4)
    assert 225 < plain(np.full((8, 8, 3), 1.0)).mean() < 250


@needs_source
def test_whites_of_the_eyes_are_about_as_light_as_light_skin_and_lighter_than_dark_skin():
    faces, size, ratios = generator(), 256, []
    for low, high in ((48, 61), (-58, -30)):
        seed = next(seed for seed in range(3_000, 4_000) if low < faces.geometry.sampler.traits(seed).tone < high)
        person = faces.person(seed)
        person = replace(person, appearance=replace(person.appearance, sclera=1.0, sclera_tint=0.3))
        view = neutral_view(2)
        photo = faces.photo(person, view, size=size)
        linear = srgb_decode(photo.image / 255) @ LUMINANCE
        points = faces.landmarks(person, view, photo, size)
        whites = [0.4 * points[iris] + 0.6 * points[corner] for iris, corner in ((468, 33), (473, 263))]
        white, skin = (
            np.mean([linear[int(y), int(x)] for x, y in places]) for places in (whites, points[[50, 280, 151]])
        )
        ratios.append(white / skin)
    assert 0.7 < ratios[0] < 1.6 and ratios[1] > 1.8
