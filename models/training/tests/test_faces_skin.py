"""Skin optics, normal maps and the maps of whole people."""

import numpy as np
from faces_support import generator, needs_source

from fitdiff.faces.appearance import sample_appearance
from fitdiff.faces.identity import TONE_BINS
from fitdiff.faces.optics import (
    RGB_WEIGHTS,
    ColourTable,
    lab,
    melanin_for_angle,
    spectrum,
    to_rgb,
    typology_angle,
)
from fitdiff.faces.relief import NormalMapper
from fitdiff.faces.streams import stream
from fitdiff.faces.uv_bake import TexelGeometry


def plane(size=64, side_mm=100.0):
    """A flat square patch of skin facing +z."""
    centres = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(centres, 1 - centres)
    side = side_mm / 100
    position = np.stack([u * side, v * side, 0 * u], 2)
    axis = np.zeros((size, size, 3))
    along_u, along_v, normal = axis.copy(), axis.copy(), axis.copy()
    along_u[..., 0], along_v[..., 1], normal[..., 2] = side, side, 1
    whole = np.ones((size, size), bool)
    return TexelGeometry(position, normal, along_u, along_v, whole, np.zeros((size, size), np.int32), axis)


def test_a_white_surface_is_white():
    np.testing.assert_allclose(to_rgb(np.ones(31)), 1, atol=1e-12)
    np.testing.assert_allclose(lab(np.ones(3)), [100, 0, 0], atol=1e-4)
    assert RGB_WEIGHTS.shape == (31, 3)


def test_skin_darkens_with_melanin_and_reddens_with_blood():
    melanin = np.geomspace(0.003, 1.2, 40)
    colours = to_rgb(spectrum(melanin, 0.01))
    assert (np.diff(colours, axis=0) < 0).all()
    assert (np.diff(typology_angle(colours)) < 0).all()
    redness = lab(to_rgb(spectrum(0.02, np.geomspace(0.003, 0.1, 20))))[:, 1]
    assert (np.diff(redness) > 0).all()


def test_colours_are_reflectances():
    grid = spectrum(np.geomspace(0.003, 1.2, 30)[:, None], np.geomspace(0.002, 0.14, 30)[None])
    assert grid.min() > 0 and grid.max() < 1


def test_the_colour_table_agrees_with_the_spectra():
    rng = np.random.default_rng(1)
    melanin, blood = np.exp(rng.uniform(-5, 0, (20, 20))), np.exp(rng.uniform(-6, -2, (20, 20)))
    oxygen = rng.uniform(0.3, 0.9, (20, 20))
    table = ColourTable(0.7, 1.0).colour(melanin, blood, oxygen)
    exact = to_rgb(spectrum(melanin, blood, oxygen, 0.7, 1.0))
    assert np.abs(table - exact).max() < 0.01


def test_melanin_for_an_angle_gives_that_angle():
    for low, high in TONE_BINS:
        for angle in (low + 1, high - 3):
            melanin = melanin_for_angle(angle, 0.0095, 0.78, 0.7, 1.1)
            assert abs(typology_angle(to_rgb(spectrum(melanin, 0.0095, 0.78, 0.7, 1.1))) - angle) < 0.5


def test_a_flat_patch_has_straight_normals():
    normals = NormalMapper(plane())(np.zeros((64, 64)))
    np.testing.assert_allclose(normals, np.broadcast_to([0, 0, 1], normals.shape), atol=1e-12)


def test_a_slope_turns_the_normal_against_it():
    geometry = plane(64, 100)
    slope_u, slope_v = 0.3, -0.2
    height = (slope_u * geometry.position[..., 0] + slope_v * geometry.position[..., 1]) * 100
    normals = NormalMapper(geometry)(height)[2:-2, 2:-2]
    expected = np.array([-slope_u, -slope_v, 1]) / np.linalg.norm([slope_u, slope_v, 1])
    np.testing.assert_allclose(normals, np.broadcast_to(expected, normals.shape), atol=1e-6)


def test_streams_are_reproducible_and_independent():
    draws = [stream(7, name, index).random(4) for name, index in (("a", 0), ("a", 0), ("b", 0), ("a", 1))]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).all() and (draws[0] != draws[3]).all()
    # Philox 4x64 with BLAKE2b keys: the raw integers are the same on every machine.
    assert stream(7, "a").bit_generator.random_raw() == 17485797045557838397


@needs_source
def test_skin_tones_fill_the_six_classes_evenly():
    sampler = generator().geometry.sampler
    edges = [-90, -30, 10, 28, 41, 55, 90]
    tones = [sampler.traits(seed).tone for seed in range(1200)]
    counts = np.histogram(tones, edges)[0]
    # Chi-squared with five degrees of freedom: 20.5 is exceeded once in a thousand.
    assert ((counts - 200) ** 2 / 200).sum() < 20.5, counts


@needs_source
def test_painted_cheeks_have_the_wanted_tone():
    made = generator()
    errors = []
    for seed in range(8):
        traits = made.geometry.sampler.traits(seed)
        person = sample_appearance(seed, traits).shaven()
        maps = made.painter.paint(seed, person)
        cheeks = (made.painter.regions.cheek_wide > 0.5) & made.painter.geometry.chart
        errors.append(typology_angle(maps.diffuse[cheeks].mean(0)) - traits.tone)
    assert np.abs(errors).max() < 7, errors


@needs_source
def test_a_seed_gives_the_same_person_again():
    made = generator()
    first, again, other = made.person(11), made.person(11), made.person(12)
    assert (first.vertices == again.vertices).all() and (first.maps.diffuse == again.maps.diffuse).all()
    assert first.appearance == again.appearance
    assert np.abs(first.vertices - other.vertices).max() > 0.01
    assert np.abs(first.maps.diffuse - other.maps.diffuse).max() > 0.05


@needs_source
def test_maps_are_in_range():
    maps = generator().person(3).maps
    assert maps.diffuse.min() >= 0.004 and maps.diffuse.max() <= 0.95
    assert maps.specular.min() >= 0.0079 and maps.specular.max() <= 0.0501
    np.testing.assert_allclose(np.linalg.norm(maps.normal, axis=2), 1, atol=1e-5)
    assert maps.normal[..., 2].min() > 0
