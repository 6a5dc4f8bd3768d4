"""Random appearance: pigments, blemishes, age marks, hair, make-up and eyes of one person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fitdiff.faces.identity import Traits
from fitdiff.faces.irises import IRIS_COLOURS
from fitdiff.faces.optics import melanin_for_angle, spectrum, to_rgb
from fitdiff.faces.streams import noise_seed, stream

BEARD_STYLES = ("full", "chin strap", "goatee", "short boxed")
HAIR_STYLES = ("bald", "cropped", "short", "long", "medium")

PAINTED_DARKENING = 3.0
"""Degrees of typology angle that tan, redness and mottling take from the bare pigments, on average."""


@dataclass(frozen=True)
class Appearance:
    """Everything that the maps and the renderer need besides shape.

    Amounts without a unit are 0 (absent) to about 1 (strong).
    """

    noise: int  # lattice seed of all procedural noise
    # pigments
    melanin: float  # epidermal melanosome fraction of the cheeks
    eumelanin: float  # share of eumelanin
    carotene: float  # extra absorption at 460 nm, per cm
    blood: float  # dermal blood fraction
    oxygenation: float
    darkness: float  # 0 lightest … 1 darkest, from melanin
    # distribution over the face
    tan: float
    cheek_redness: float
    nose_redness: float
    ear_redness: float
    blotches: float
    melanin_blotches: float
    freckles: float
    moles: int
    spots: int  # solar lentigines
    blemishes: int
    vessels: float
    under_eye: float
    periorbital: float
    lip_blood: float
    lip_melanin: float
    # relief and gloss
    pores: float
    wrinkles: float
    wrinkle_kinds: tuple[float, ...]  # factors per family of wrinkles
    roughness: float  # fine relief
    specular: float  # F0 of the cheeks
    oiliness: float
    # hair
    hair_colour: tuple[float, float, float]  # linear RGB
    brow_colour: tuple[float, float, float]
    beard_colour: tuple[float, float, float]
    hair_style: int  # index into HAIR_STYLES
    hairline: float  # shift of the hairline backwards, decimetres
    brow_density: float
    brow_thickness: float
    brow_arch: float
    brow_slope: float
    brow_height: float
    brow_length: float
    brow_spread: float  # how far hairs scatter
    beard: float  # length and density, 0 shaven
    beard_style: int  # index into BEARD_STYLES
    beard_shadow: float
    moustache: float
    # make-up
    makeup: float
    lip_colour: tuple[float, float, float]
    lip_tint: float
    eye_liner: float
    # eyes
    iris: tuple[float, float, float]
    iris_pattern: float
    sclera_tint: float  # 0 white … 1 yellowish and veined
    sclera: float  # factor on the brightness of the whites

    def shaven(self) -> Appearance:
        """The same person without beard and make-up (for colour statistics)."""
        return replace(self, beard=0.0, moustache=0.0, beard_shadow=0.0, makeup=0.0, lip_tint=0.0, eye_liner=0.0)


def hair_colour(eumelanin: float, pheomelanin: float, grey: float) -> np.ndarray:
    """Linear RGB of hair.

    Absorption per channel after d'Eon et al., "An Energy-Conserving Hair Reflectance Model" (2011);
    the exponent and scale fit the multiple-scattering colour of a full head of hair. Grey hair is
    a mix with unpigmented hair, which is slightly yellow.
    """
    absorption = np.array([0.419, 0.697, 1.37]) * eumelanin + np.array([0.187, 0.4, 1.05]) * pheomelanin
    colour = 0.62 * np.exp(-1.9 * np.sqrt(absorption)) + 0.007
    return colour * (1 - grey) + np.array([0.33, 0.31, 0.28]) * grey


def sample_appearance(seed: int, traits: Traits) -> Appearance:
    """Draw one person's appearance; correlations follow ancestry mixture, tone, gender and age."""
    rng = stream(seed, "appearance")
    normal = rng.normal
    old = float(np.clip((traits.years - 30) / 45, 0, 1))
    male = traits.male

    def clipped(mean: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(mean + deviation * normal(), low, high))

    blood = float(np.clip(0.0095 * np.exp(0.28 * normal()), 0.005, 0.03))
    oxygenation = clipped(0.78, 0.05, 0.6, 0.92)
    carotene = float(abs(1.1 + 0.7 * normal()))
    rough_darkness = float(np.clip((60 - traits.tone) / 110, 0, 1))
    eumelanin = clipped(0.62 + 0.2 * rough_darkness, 0.12, 0.35, 0.98)
    melanin = melanin_for_angle(traits.tone + PAINTED_DARKENING, blood, oxygenation, eumelanin, carotene)
    dark = float(np.clip(np.log(melanin / 0.02) / np.log(30), 0, 1))
    young = traits.years < 30
    acne_prone = rng.random() < 0.5
    skin: dict[str, Any] = {
        "melanin": melanin, "eumelanin": eumelanin, "carotene": carotene, "blood": blood,
        "oxygenation": oxygenation, "darkness": dark,
        "tan": clipped(0.3, 0.2, 0, 0.8),
        "cheek_redness": clipped(0.42, 0.26, 0, 1.1), "nose_redness": clipped(0.42, 0.24, 0, 1.1),
        "ear_redness": float(abs(0.6 + 0.3 * normal())),
        "blotches": clipped(0.14, 0.06, 0.05, 0.35),
        "melanin_blotches": clipped(0.085 + 0.05 * old, 0.04, 0.03, 0.28),
        "freckles": float(max(0.0, 0.5 * normal() - 0.15) * (1 - dark) * (1.0 if melanin < 0.05 else 0.3)),
        "moles": int(rng.poisson(4)),
        "spots": int(rng.poisson(25 * old**1.5 * (1 - 0.6 * dark))),
        "blemishes": int(rng.poisson((5 if young else 1) if acne_prone else 0.7)),
        "vessels": float(abs(normal()) * 0.14 * (1 + old) * (1 - dark)),
        "under_eye": clipped(0.45 + 0.25 * old + 0.25 * dark, 0.3, 0, 1.4),
        "periorbital": clipped(0.25 + 0.3 * dark + 0.25 * traits.mixture[1], 0.25, 0, 1.2),
        "lip_blood": float(np.clip(0.050 * np.exp(0.35 * normal()) * (1 - 0.25 * old), 0.02, 0.12)),
        "lip_melanin": clipped(0.55 + 0.2 * dark, 0.2, 0.2 + 0.3 * dark, 1.2),
    }  # fmt: skip
    relief: dict[str, Any] = {
        "pores": clipped(0.8 + 0.25 * male, 0.3, 0.2, 1.6),
        "wrinkles": clipped(old**1.15 * (0.9 + 0.3 * normal()) + 0.04, 0.0, 0.02, 1.5),
        "wrinkle_kinds": tuple(float(v) for v in np.exp(0.35 * normal(size=8))),
        "roughness": clipped(0.9 + 0.35 * old, 0.25, 0.4, 1.7),
        "specular": clipped(0.028, 0.003, 0.02, 0.037),
        "oiliness": clipped(0.36 - 0.1 * old, 0.3, 0, 1.2),
    }
    hair = _hair(rng, traits, rough_darkness)
    # Brows shade the skin between their hairs: never lighter than about half of it.
    cheek = to_rgb(spectrum(melanin, blood, oxygenation, eumelanin, carotene))
    hair["brow_colour"] = tuple(float(v) for v in np.minimum(hair["brow_colour"], 0.5 * cheek))
    return Appearance(
        noise=noise_seed(seed, "skin noise"),
        **skin,
        **relief,
        **hair,
        **_makeup(rng, traits),
        **_eyes(rng, traits, rough_darkness),
    )


def _hair(rng: np.random.Generator, traits: Traits, dark_tone: float) -> dict[str, Any]:
    """Hair, brow and beard parameters."""
    male, years = traits.male, traits.years
    fair = traits.mixture[2] > 0.4 and dark_tone < 0.45 and rng.random() < 0.8
    if fair:
        eumelanin = float(np.exp(rng.uniform(np.log(0.22), np.log(5.0))))
        pheomelanin = float(abs(0.25 * rng.normal()) + (1.4 if rng.random() < 0.1 else 0.1))
    else:
        eumelanin, pheomelanin = float(rng.uniform(3.0, 9.0)), float(abs(0.3 * rng.normal()))
    dyed = male < 0.5 and years > 40 and rng.random() < 0.5
    grey = float(np.clip((years - 40 + 9 * rng.normal()) / 32, 0, 1)) if years > 34 and not dyed else 0.0
    tint = np.exp(0.12 * rng.normal() + 0.02 * rng.normal(size=3))
    is_male = male > 0.5
    style_weights = [0.22, 0.30, 0.40, 0.03, 0.05] if is_male else [0.0, 0.05, 0.22, 0.43, 0.30]
    if is_male and years < 30:
        style_weights = [0.05, 0.35, 0.50, 0.03, 0.07]
    beard, shadow, moustache, style = 0.0, 0.0, 0.0, 0
    if is_male:
        kind = rng.random()
        if kind > 0.5:
            beard = float(rng.uniform(0.12, 0.6) if kind < 0.84 else rng.uniform(0.6, 1.0))
        shadow = float(np.clip(0.35 + 0.25 * rng.normal(), 0, 0.9)) * (1 - 0.35 * traits.mixture[1])
        moustache = beard * float(rng.choice([1.0, 1.0, 1.0, 0.4]))
        style = int(rng.choice(len(BEARD_STYLES), p=[0.5, 0.15, 0.2, 0.15]))
    masculine = male - 0.5
    receding = 0.10 * max(0.0, years - 35) / 35 if is_male else 0.0
    thinning = 0.1 * max(0.0, years - 55) / 25
    normal = rng.normal

    def colour(grey_share: float, scale: float) -> tuple[float, ...]:
        return tuple(float(v) for v in hair_colour(eumelanin, pheomelanin, grey * grey_share) * tint * scale)

    return {
        "hair_colour": colour(1.0, 1.0), "brow_colour": colour(0.4, 0.75), "beard_colour": colour(0.85, 0.9),
        "hair_style": int(rng.choice(len(HAIR_STYLES), p=style_weights)),
        "hairline": float(np.clip(0.02 + 0.05 * normal() + receding, -0.06, 0.3)),
        "brow_density": float(np.clip(0.8 + 0.25 * normal() + 0.15 * masculine - thinning, 0.25, 1.3)),
        "brow_thickness": float(np.clip(0.95 + 0.26 * normal() + 0.45 * masculine, 0.45, 1.8)),
        "brow_arch": float(np.clip(0.5 + 0.3 * normal() - 0.45 * masculine, -0.1, 1.2)),
        "brow_slope": float(0.35 + 0.45 * normal()),
        "brow_height": float(0.5 * normal() - 0.35 * masculine),
        "brow_length": float(np.clip(1 + 0.07 * normal(), 0.82, 1.15)),
        "brow_spread": float(np.clip(1 + 0.3 * normal() + 0.4 * masculine, 0.5, 1.8)),
        "beard": beard, "beard_style": style, "beard_shadow": shadow, "moustache": moustache,
    }  # fmt: skip


def _makeup(rng: np.random.Generator, traits: Traits) -> dict[str, Any]:
    worn = traits.male < 0.5 and rng.random() < 0.4
    strength = float(rng.uniform(0.15, 1.0)) if worn else 0.0
    colour = (float(rng.uniform(0.25, 0.55)), float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.04, 0.16)))
    return {
        "makeup": strength,
        "lip_colour": colour,
        "lip_tint": strength * float(rng.uniform(0, 0.7)),
        "eye_liner": strength * float(rng.uniform(0.1, 1)),
    }


def _eyes(rng: np.random.Generator, traits: Traits, dark_tone: float) -> dict[str, Any]:
    """Light irises only where both the mixture and the tone make them likely."""
    light = traits.mixture[2] * (1 - dark_tone) ** 1.5
    place = rng.random() * (len(IRIS_COLOURS) - 1) if rng.random() < light else rng.random() * (2.4 - 1.6 * dark_tone)
    low = int(place)
    high = min(low + 1, len(IRIS_COLOURS) - 1)
    colour = IRIS_COLOURS[low] * (1 - place + low) + IRIS_COLOURS[high] * (place - low)
    colour = colour * np.exp(0.12 * rng.normal(size=3))
    return {
        "iris": tuple(float(v) for v in colour),
        "iris_pattern": float(rng.random()),
        "sclera_tint": float(np.clip(0.3 + 0.2 * rng.normal() + 0.3 * max(0, traits.years - 40) / 40, 0, 1)),
        "sclera": float(np.clip(np.exp(0.12 * rng.normal()), 0.75, 1.3)),
    }
