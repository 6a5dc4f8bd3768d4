"""Selfies: random pose, light, expression, camera and background, and what a phone does to the picture."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from fitdiff.faces.background import sample_background
from fitdiff.faces.dataset import srgb_encode
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.figure import Look
from fitdiff.faces.numerics import normalize
from fitdiff.faces.renderer import Camera, Lighting, Surroundings

PAIRED_EXPRESSIONS = (
    "mouthSmile", "mouthFrown", "browDown", "browOuterUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthUpperUp",
    "mouthLowerDown", "cheekSquint", "noseSneer", "mouthPress", "mouthStretch",
)  # fmt: skip
SINGLE_EXPRESSIONS = (
    ("jawOpen", 0.3), ("mouthPucker", 0.3), ("mouthFunnel", 0.25), ("browInnerUp", 0.5), ("cheekPuff", 0.3),
    ("mouthLeft", 0.3), ("mouthRight", 0.3), ("jawLeft", 0.3), ("mouthShrugLower", 0.4), ("mouthRollLower", 0.3),
)  # fmt: skip
"""Blendshapes and their half-normal scale."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear sRGB."""


@dataclass(frozen=True)
class View:
    """One random photo of a person, before rendering.

    Attributes:
        expression: weights float32 [52].
        exposure: factor on the radiance. balance: [3] white balance, factors on the channels.
        blur: Gaussian sigma in output pixels. noise: deviation of sensor noise, 0…1 scale.
        motion: length in pixels and angle of motion blur. jpeg_quality: 0 for none.
        contrast, saturation: factors of the phone's tone processing.
        sharpening: how much of the difference to a blurred picture is added, and that blur's sigma in pixels.
    """

    expression: np.ndarray
    look: Look
    camera: Camera
    lighting: Lighting
    surroundings: Surroundings
    exposure: float
    balance: np.ndarray
    blur: float
    motion: tuple[float, float]
    noise: float
    jpeg_quality: int
    contrast: float
    saturation: float
    sharpening: tuple[float, float]


def sample_view(rng: np.random.Generator, size: int, supersampling: int = 2) -> View:
    """Draw a photo; ``size`` is its side in pixels."""
    lighting, brightness = sample_lighting(rng)
    pupil = float(np.clip(0.46 - 0.10 * brightness + 0.05 * rng.normal(), 0.26, 0.55))
    cloth = np.clip(np.exp(rng.uniform(np.log(0.02), np.log(0.5))) * np.exp(0.35 * rng.normal(size=3)), 0.01, 0.7)
    close = rng.random() < 0.5  # arm's length against across a table
    camera = Camera(
        yaw=float(np.clip(rng.normal() * (14 if rng.random() < 0.75 else 27), -55, 55)),
        pitch=float(np.clip(2 + 9 * rng.normal(), -28, 30)),
        roll=float(6 * rng.normal()),
        field_of_view=float(rng.uniform(30, 52) if close else rng.uniform(14, 30)),
        half_extent=float(rng.uniform(1.15, 1.6)),
        shift=tuple(float(v) for v in 0.08 * rng.normal(size=2)),
    )
    gaze = sample_gaze(rng, camera)
    return View(
        expression=sample_expression(rng),
        look=Look(
            gaze=gaze,
            hair_length=float(rng.uniform(0.4, 0.95)),
            collar=float(rng.uniform(-0.12, 0.12)),
            occlusion_directions=16,
        ),
        camera=camera,
        lighting=lighting,
        surroundings=Surroundings(cloth, sample_background(rng, size * supersampling), pupil),
        exposure=float(np.exp(0.18 * rng.normal())),
        balance=np.exp(0.045 * rng.normal(size=3)) * white_balance(lighting, float(rng.uniform(0.5, 1))),
        blur=float(rng.uniform(0.15, 0.6) if rng.random() < 0.8 else rng.uniform(0.6, 1.3)),
        motion=(float(rng.uniform(1, 4)) if rng.random() < 0.08 else 0.0, float(rng.uniform(0, np.pi))),
        noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.025)))),
        jpeg_quality=int(rng.integers(45, 97)) if rng.random() < 0.85 else 0,
        contrast=float(np.exp(0.14 * rng.normal())),
        saturation=float(np.exp(0.15 * rng.normal())),
        sharpening=(float(max(0.0, rng.uniform(-0.4, 1.0))), float(rng.uniform(0.6, 1.4))),
    )


def sample_gaze(rng: np.random.Generator, camera: Camera) -> tuple[float, float]:
    """Draw where the eyes look (:attr:`Look.gaze`): seven of ten at the camera, the others about straight ahead."""
    looks_at_camera = rng.random() < 0.7
    # Positive yaw and pitch turn the nose to the right and down: the eyes turn back.
    gaze = np.radians([-camera.yaw, camera.pitch]) * (0.9 if looks_at_camera else 0.3)
    gaze = np.clip(gaze + rng.normal(size=2) * [0.08, 0.05], [-0.45, -0.35], [0.45, 0.3])
    return float(gaze[0]), float(gaze[1])


def neutral_view(kind: int = 0, size: int = 256, yaw: float = 0.0) -> View:
    """A fixed, clean view: studio light of three kinds, no expression, grey background."""
    rng = np.random.default_rng(kind)
    view = sample_view(rng, size)
    return replace(
        view,
        expression=np.zeros(len(ARKIT_NAMES), np.float32),
        look=Look(),
        camera=Camera(yaw=yaw, half_extent=1.28),
        lighting=studio_lighting(kind),
        surroundings=Surroundings(np.array([0.06, 0.07, 0.10]), None, 0.38),
        exposure=1.0, balance=np.ones(3), blur=0.0, motion=(0.0, 0.0), noise=0.0, jpeg_quality=0, contrast=1.0,
        saturation=1.0, sharpening=(0.0, 1.0),
    )  # fmt: skip


def sample_expression(rng: np.random.Generator) -> np.ndarray:
    """Blendshape weights float32 [52]; three of ten faces are neutral, smiles are common."""
    weights = dict.fromkeys(ARKIT_NAMES, 0.0)
    if rng.random() < 0.3:
        return np.zeros(len(ARKIT_NAMES), np.float32)

    def pair(name: str, amount: float) -> None:
        for side in ("Left", "Right"):
            weights[name + side] = min(1.0, amount * float(np.exp(0.15 * rng.normal())))

    if rng.random() < 0.45:
        smile = float(rng.uniform(0.15, 0.9))
        pair("mouthSmile", smile)
        pair("cheekSquint", 0.5 * smile)
        pair("eyeSquint", 0.35 * smile)
        if rng.random() < 0.35:
            pair("mouthUpperUp", 0.35 * smile)
            weights["jawOpen"] = 0.2 * smile
    else:
        for name in PAIRED_EXPRESSIONS:
            if rng.random() < 0.18:
                pair(name, abs(float(rng.normal())) * 0.4)
        for name, scale in SINGLE_EXPRESSIONS:
            if rng.random() < 0.12:
                weights[name] = min(1.0, abs(float(rng.normal())) * scale)
    if rng.random() < 0.3:
        pair("eyeBlink", min(0.5, abs(float(rng.normal())) * 0.2))
    elif rng.random() < 0.03:
        pair("eyeBlink", 1.0)
    return np.array([weights[name] for name in ARKIT_NAMES], np.float32)


def _colour_temperature(rng: np.random.Generator) -> np.ndarray:
    t = rng.uniform(-0.6, 1)
    return np.array([1 + 0.22 * t, 1.0, 1 - 0.27 * t])


def sample_lighting(rng: np.random.Generator) -> tuple[Lighting, float]:
    """Draw three or four lobes and an ambient term; also the scene's brightness 0…1."""
    count = 3 + int(rng.random() < 0.5)
    hard = rng.random() < 0.35
    directions, colours, widths = [], [], []
    for i in range(count):
        azimuth = rng.uniform(-1.3, 1.3) if i == 0 else rng.uniform(-1.9, 1.9)
        elevation = rng.uniform(-0.05, 1.1)
        directions.append([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
        strength = rng.uniform(0.8, 1.8) if i == 0 else rng.uniform(0.08, 0.7)
        colours.append(strength * _colour_temperature(rng))
        widths.append(rng.uniform(0.03, 0.15) if (hard and i == 0) else rng.uniform(0.2, 0.8))
    ambient = rng.uniform(0.15, 0.5) * _colour_temperature(rng)
    down = ambient * rng.uniform(0.35, 0.9) * _colour_temperature(rng)
    lighting = Lighting(normalize(np.array(directions)), np.array(colours), np.array(widths), ambient, down)
    return lighting, float(np.clip(colours[0].mean() / 1.8, 0, 1))


def studio_lighting(kind: int) -> Lighting:
    """Fixed light: 0 soft window, 1 sun and sky, 2 frontal lamp with warm room."""
    presets = (
        ([(-0.75, 0.45, 0.6), (0.7, 0.1, 0.6), (0, 1, 0.2), (0.4, 0.3, -0.9)],
         [(1.55, 1.5, 1.42), (0.28, 0.30, 0.34), (0.25, 0.26, 0.28), (0.5, 0.5, 0.55)],
         (0.35, 0.6, 0.6, 0.35), (0.34, 0.36, 0.40), (0.20, 0.18, 0.16)),
        ([(0.55, 0.75, 0.55), (-0.5, 0.5, 0.7), (0, 0.3, -1)],
         [(2.3, 2.1, 1.75), (0.22, 0.26, 0.34), (0.35, 0.4, 0.5)],
         (0.03, 0.7, 0.5), (0.36, 0.44, 0.58), (0.20, 0.18, 0.14)),
        ([(0, 0.08, 1.0), (0.2, 0.95, 0.3), (-0.9, 0.1, -0.4), (0.95, 0.2, -0.3)],
         [(0.95, 0.95, 1.0), (0.75, 0.6, 0.42), (0.9, 0.55, 0.35), (0.3, 0.5, 1.0)],
         (0.18, 0.3, 0.25, 0.25), (0.22, 0.19, 0.16), (0.12, 0.10, 0.09)),
    )  # fmt: skip
    directions, *rest = (np.array(values, float) for values in presets[kind % len(presets)])
    return Lighting(normalize(directions), *rest)


def tone_map(linear: np.ndarray) -> np.ndarray:
    """Scene-linear radiance → sRGB 0…1 with a soft shoulder, as a phone's default curve."""
    return srgb_encode(linear * (1 + 0.15 * linear) / (1 + 0.33 * linear))


def white_balance(lighting: Lighting, strength: float) -> np.ndarray:
    """Factors [3] on the channels that take this share of the light's colour out of what faces the camera."""
    facing = np.clip(lighting.directions[:, 2:], 0.2, None)
    light = (lighting.colours * facing).sum(0) + (lighting.ambient_up + lighting.ambient_down) / 2
    return (light @ LUMINANCE / light) ** strength


def auto_exposure(linear: np.ndarray, coverage: np.ndarray, strength: float = 0.55) -> float:
    """Factor that moves the person's median luminance part of the way to mid-grey, as phones do."""
    luminance = (linear @ LUMINANCE)[coverage > 0.5]
    if luminance.size == 0:
        return 1.0
    return float(np.clip((0.18 / max(float(np.median(luminance)), 1e-3)) ** strength, 0.4, 4.0))


def develop(linear: np.ndarray, coverage: np.ndarray, view: View, rng: np.random.Generator) -> np.ndarray:
    """Scene radiance [P, P, 3] → photo uint8 [P, P, 3]: exposure, blur, tone, sharpening, noise, JPEG.

    Noise comes last: what a camera leaves of it after its own filters and sharpening.
    """
    image = linear * (view.exposure * auto_exposure(linear, coverage)) * view.balance
    if view.blur > 0:
        image = ndimage.gaussian_filter(image, (view.blur, view.blur, 0))
    length, angle = view.motion
    if length > 0:
        steps = np.linspace(-length / 2, length / 2, 5)
        shifts = [(step * np.sin(angle), step * np.cos(angle), 0) for step in steps]
        image = np.mean([ndimage.shift(image, shift, order=1, mode="nearest") for shift in shifts], axis=0)
    photo = tone_map(image)
    grey = photo.mean(2, keepdims=True)
    photo = grey + (photo - grey) * view.saturation
    photo = 0.45 + (photo - 0.45) * view.contrast
    amount, radius = view.sharpening
    if amount > 0:
        photo = photo + amount * (photo - ndimage.gaussian_filter(photo, (radius, radius, 0)))
    if view.noise > 0:
        # Chroma noise is coarser than luma noise, as the colour filter array makes it.
        half = -(-len(photo) // 2)
        chroma = rng.normal(size=(half, half, 3)).repeat(2, 0).repeat(2, 1)[: len(photo), : len(photo)]
        photo = photo + view.noise * (rng.normal(size=photo.shape[:2])[..., None] + 0.4 * chroma)
    pixels = np.rint(np.clip(photo, 0, 1) * 255).astype(np.uint8)
    if view.jpeg_quality:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=view.jpeg_quality)
        pixels = np.asarray(Image.open(buffer).convert("RGB"))
    return pixels
