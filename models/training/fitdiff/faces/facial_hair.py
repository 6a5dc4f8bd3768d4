"""Hair painted into the maps: brows, beard, stubble and the scalp under the hair."""

from __future__ import annotations

import numpy as np

from fitdiff.faces.appearance import BEARD_STYLES, Appearance
from fitdiff.faces.noise import draw_strokes
from fitdiff.faces.numerics import smoothstep
from fitdiff.faces.regions import FrontLookup, Regions, polygon_mask
from fitdiff.faces.streams import stream
from fitdiff.faces.texel_noise import TexelNoise

BROW_START = 0.105
BROW_LENGTH = 0.43
BROW_Y = 7.445
"""Frontal coordinates (decimetres) of the brow's inner end and its length on the base mesh."""


def _brow_line(person: Appearance, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre line x, y and half thickness (decimetres) at t = 0 (inner end) … 1 (tail)."""
    x = BROW_START + BROW_LENGTH * person.brow_length * t
    y = BROW_Y + 0.012 * person.brow_height + 0.058 * np.sin(np.pi * np.clip(0.92 * t + 0.02, 0, 1) ** 1.12)
    y = y + 0.034 * person.brow_arch * np.exp(-(((t - 0.64) / 0.22) ** 2))
    y = y + 0.022 * person.brow_slope * (t - 0.35) - 0.032 * t**3
    half = 0.036 * person.brow_thickness * np.clip(1.12 - 0.85 * t**1.7, 0.16, 1) * np.clip(0.5 + 3 * t, 0, 1)
    return x, y, half


def brow_coverage(person: Appearance, seed: int, size: int, noise: TexelNoise, lookup: FrontLookup) -> np.ndarray:
    """Opacity of the brows [S, S]: single hairs over a soft shade of the hairs between them."""
    rng = stream(seed, "brows")
    coverage = np.zeros((size, size))
    shade = np.zeros((size, size))
    count = int(330 * person.brow_density)
    for side in (1, -1):
        t = rng.beta(1.1, 1.25, count)
        across = np.clip(0.45 * person.brow_spread * rng.normal(size=count), -1.3, 1.3)
        x, y, half = _brow_line(person, t)
        y = y + across * half
        # Inner hairs grow upwards, those of the body outwards, the tail's and the upper edge's down.
        angle = np.interp(t, [0, 0.12, 0.35, 0.65, 1], [86, 60, 30, 6, -20])
        angle = angle - 14 * across * np.clip(3 * t, 0, 1) + 10 * rng.normal(size=count)
        length = 0.07 * (1 - 0.35 * t) * np.exp(0.25 * rng.normal(size=count))
        length *= np.clip(0.8 + 0.2 * person.brow_thickness, 0.7, 1.2)
        direction, bend = np.radians(angle), np.radians(-18)
        steps = [
            np.stack([x + length * u * np.cos(direction + bend * u), y + length * u * np.sin(direction + bend * u)], 1)
            for u in (0.0, 0.35, 0.7, 1.0)
        ]
        lines = np.stack(steps, 1)
        lines[..., 0] *= side
        texels, _ = lookup(lines.reshape(-1, 2))
        opacity = 0.5 * np.exp(0.25 * rng.normal(size=count))
        draw_strokes(
            texels.reshape(count, 4, 2), np.full(count, 0.6 * size / 512 + 0.12), np.clip(opacity, 0.1, 0.85), coverage
        )
        x, y, half = _brow_line(person, np.linspace(0, 1, 40))
        outline = np.r_[np.c_[x, y + 0.8 * half], np.c_[x, y - 0.75 * half][::-1]]
        outline[:, 0] *= side
        texels, _ = lookup(outline)
        shade = np.maximum(shade, polygon_mask(size, texels / size, 3.2, mirror=False))
    mottle = noise.fbm(1.8, person.noise + 7, 2, 0.6)
    shade = np.clip(0.5 * person.brow_density * shade * (1 + 0.4 * mottle), 0, 0.75)
    return np.clip(1 - (1 - coverage) * (1 - shade), 0, 0.95)


def beard_region(person: Appearance, regions: Regions) -> np.ndarray:
    """Density 0…1 of the beard's style, moustache included."""
    style = BEARD_STYLES[person.beard_style]
    if style == "goatee":
        area = regions.goatee
    elif style == "chin strap":
        area = regions.beard * (1 - 0.8 * regions.cheek)
    elif style == "short boxed":
        area = regions.beard * (1 - regions.cheek_wide)
    else:
        area = regions.beard
    has_moustache = 1.0 if person.moustache > 0 else 0.0
    return np.clip(area + regions.moustache * has_moustache, 0, 1)


def beard_coverage(
    person: Appearance, regions: Regions, noise: TexelNoise, mottle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of beard and stubble [S, S], and the shadow of shaved hair under the skin [S, S].

    The edge is eaten away by noise of two scales, so that it thins out instead of ending.
    """
    shadow = np.clip(regions.beard + regions.moustache, 0, 1) * person.beard_shadow * (0.75 + 0.25 * mottle)
    if person.beard <= 0 and person.beard_shadow <= 0:
        return np.zeros_like(shadow), shadow
    distance, _ = noise.cells(0.95, person.noise + 91)
    stubble = smoothstep(0.42, 0.12, distance)
    length = min(person.beard, 1.0)
    wide = noise.fbm(7.0, person.noise + 93, 3, 0.6)
    strand = noise.fbm((0.6, 2.6, 0.9), person.noise + 95, 2, 0.6)
    density = beard_region(person, regions)
    ragged = 0.25 * mottle * density + 0.16 * wide + 0.10 * strand
    thinned = smoothstep(0.12, 0.75, density + ragged * np.clip(2.2 * (1 - density), 0.12, 1))
    thinned = thinned * (density > 0.02)
    cover = thinned * min(1.0, 0.5 + 0.65 * length)
    if person.beard > 0.35:
        coverage = np.clip(thinned * (0.92 + 0.06 * strand), 0, 0.97)
        coverage = np.maximum(coverage, 0.8 * stubble * thinned)
    else:
        coverage = np.clip(cover * (0.25 + 1.5 * stubble), 0, 0.85)
    stray = np.clip(0.8 * shadow * stubble * (1 - cover), 0, 0.6)
    return np.maximum(coverage, stray), shadow * (1 - cover)


def scalp_coverage(person: Appearance, regions: Regions, noise: TexelNoise) -> np.ndarray:
    """Opacity of the hair painted on the scalp [S, S]; bald heads keep a faint shade."""
    edge = noise.fbm(6.0, person.noise + 96, 3, 0.6)
    fine = noise.fbm((0.8, 2.5, 0.8), person.noise + 97, 2, 0.6)
    margin = regions.scalp_margin - person.hairline + 0.018 * edge + 0.012 * fine
    inside = smoothstep(-0.05, 0.09, margin)
    if person.hair_style == 0:
        distance, _ = noise.cells(1.1, person.noise + 98)
        return np.clip(inside * person.beard_shadow * (0.12 + 0.35 * smoothstep(0.5, 0.15, distance)), 0, 0.5)
    return np.clip(inside * (0.92 + 0.06 * fine), 0, 0.97)
