"""Procedural backgrounds: rooms, windows, foliage, skies and street lights, out of focus."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from fitdiff.faces.numerics import smoothstep

WALL_COLOURS = np.array(
    [(0.62, 0.60, 0.56), (0.45, 0.42, 0.38), (0.30, 0.34, 0.38), (0.55, 0.48, 0.38), (0.22, 0.25, 0.22),
     (0.70, 0.70, 0.70), (0.35, 0.22, 0.16), (0.12, 0.13, 0.16), (0.50, 0.55, 0.60), (0.42, 0.30, 0.28)]
)  # fmt: skip
"""Linear RGB of paint, wood, brick and cloth."""


def sample_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a background, linear RGB [size, size, 3], about 0…1.5."""
    kind = rng.choice(["wall", "room", "window", "foliage", "sky", "night"], p=[0.28, 0.32, 0.13, 0.12, 0.08, 0.07])
    # Blurred anyway: a quarter of the resolution is enough.
    side = max(32, size // 4)
    image = {"wall": _wall, "room": _room, "window": _window, "foliage": _foliage, "sky": _sky, "night": _night}[kind](
        rng, side
    )
    blur = side * float(np.exp(rng.uniform(np.log(0.006), np.log(0.05))))
    image = ndimage.gaussian_filter(image, (blur, blur, 0), mode="nearest")
    image *= np.exp(0.06 * rng.normal(size=3))
    return np.clip(_enlarge(image, size), 0, 4)


def _enlarge(field: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resize of [s, s, C] to [size, size, C]."""
    channels = [
        np.asarray(Image.fromarray(channel.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(field, 2, 0)
    ]
    return np.stack(channels, 2).astype(float)


def _cloud(rng: np.random.Generator, side: int, coarse: int, channels: int = 1) -> np.ndarray:
    """Smooth random field with unit deviation [side, side, channels]."""
    out = np.zeros((side, side, channels))
    amplitude = 1.0
    for cells in (coarse, 2 * coarse, 4 * coarse):
        if cells > side:
            break
        grid = rng.normal(size=(cells + 1, cells + 1, channels))
        out += amplitude * _enlarge(grid, side)
        amplitude *= 0.5
    return out / max(out.std(), 1e-6)


def _paint(rng: np.random.Generator) -> np.ndarray:
    return WALL_COLOURS[rng.integers(len(WALL_COLOURS))] * np.exp(0.25 * rng.normal() + 0.06 * rng.normal(size=3))


def _wall(rng: np.random.Generator, side: int) -> np.ndarray:
    """One lit wall with a soft gradient and faint texture."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    falloff = np.exp(0.9 * rng.normal() * x + 0.6 * rng.normal() * y)
    return _paint(rng) * falloff[..., None] * np.exp(0.05 * _cloud(rng, side, 4))


def _rectangle(image: np.ndarray, rng: np.random.Generator, colour: np.ndarray, wide: float, tall: float) -> None:
    side = len(image)
    w, h = int(side * rng.uniform(0.3, 1) * wide) + 1, int(side * rng.uniform(0.3, 1) * tall) + 1
    x, y = rng.integers(-w // 2, side - w // 2), rng.integers(-h // 2, side - h // 2)
    image[max(0, y) : y + h, max(0, x) : x + w] = colour


def _room(rng: np.random.Generator, side: int) -> np.ndarray:
    """A wall with furniture, shelves, pictures and perhaps a lamp."""
    image = _wall(rng, side)
    for _ in range(rng.integers(2, 6)):
        _rectangle(image, rng, _paint(rng), 0.6, 0.7)
    if rng.random() < 0.5:
        shelf, top = _paint(rng), rng.uniform(0.05, 0.4)
        for row in range(rng.integers(1, 4)):
            y = int(side * (top + 0.2 * row))
            image[y : y + max(1, side // 60)] = shelf
            x = 0
            while x < side:
                width, height = int(rng.integers(1, max(2, side // 20))), int(side * rng.uniform(0.08, 0.16))
                image[max(0, y - height) : y, x : x + width] = _paint(rng) * np.exp(0.3 * rng.normal(size=3))
                x += width
    if rng.random() < 0.3:
        _spots(image, rng, int(rng.integers(1, 3)), 0.05, np.array([2.5, 2.0, 1.4]))
    return image


def _window(rng: np.random.Generator, side: int) -> np.ndarray:
    """A wall with a bright window."""
    image = 0.5 * _wall(rng, side)
    outside = (_foliage if rng.random() < 0.5 else _sky)(rng, side) * rng.uniform(1.2, 2.2)
    x0, width = int(side * rng.uniform(-0.2, 0.6)), int(side * rng.uniform(0.3, 0.7))
    y0, height = int(side * rng.uniform(-0.2, 0.2)), int(side * rng.uniform(0.4, 0.8))
    rows, columns = slice(max(0, y0), y0 + height), slice(max(0, x0), x0 + width)
    image[rows, columns] = outside[rows, columns]
    image[rows, max(0, x0 + width // 2) : max(0, x0 + width // 2) + max(1, side // 40)] *= 0.3
    return image


def _foliage(rng: np.random.Generator, side: int) -> np.ndarray:
    """Leaves against light."""
    leaf = np.array([0.10, 0.16, 0.05]) * np.exp(0.2 * rng.normal(size=3))
    light = np.array([0.75, 0.85, 0.80]) * rng.uniform(0.5, 1.2)
    amount = smoothstep(-0.4, 1.6, _cloud(rng, side, 6)[..., 0])[..., None]
    return leaf * np.exp(0.5 * _cloud(rng, side, 8)) * (1 - amount) + light * amount


def _sky(rng: np.random.Generator, side: int) -> np.ndarray:
    """Sky over a horizon with trees or houses."""
    y = np.linspace(0, 1, side)[:, None, None]
    blue, haze = np.array([0.30, 0.45, 0.75]), np.array([0.75, 0.78, 0.80])
    if rng.random() < 0.4:
        blue = np.array([0.65, 0.68, 0.72])
    image = np.broadcast_to(blue * (1 - y) + haze * y, (side, side, 3)) * np.exp(0.08 * _cloud(rng, side, 3))
    horizon = int(side * rng.uniform(0.35, 0.95))
    ground = _paint(rng) * 0.6
    profile = horizon - (0.05 * side * _cloud(rng, side, 5)[0, :, 0]).astype(int)
    below = np.arange(side)[:, None] > profile[None]
    return np.where(below[..., None], ground * np.exp(0.3 * _cloud(rng, side, 8)), image)


def _night(rng: np.random.Generator, side: int) -> np.ndarray:
    """Dark street or bar with round lights out of focus."""
    image = 0.03 * np.exp(0.4 * rng.normal(size=3)) * np.exp(0.6 * _cloud(rng, side, 4))
    for _ in range(rng.integers(5, 25)):
        warm = rng.random()
        colour = np.array([1.0, 0.75 - 0.3 * warm, 0.6 - 0.45 * warm]) if rng.random() < 0.7 else rng.random(3)
        _spots(image, rng, 1, rng.uniform(0.01, 0.05), colour * rng.uniform(0.3, 1.6))
    return image


def _spots(image: np.ndarray, rng: np.random.Generator, count: int, radius: float, colour: np.ndarray) -> None:
    side = len(image)
    y, x = np.mgrid[0:side, 0:side] / side
    for _ in range(count):
        cx, cy = rng.random(2)
        disc = smoothstep(1.15, 0.9, np.hypot(x - cx, y - cy) / radius)[..., None]
        image += disc * colour
