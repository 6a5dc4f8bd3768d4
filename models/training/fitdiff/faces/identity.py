"""Random people: macro traits and the weights of some 290 morph targets.

Every paired slider ("nose-width-decr" / "-incr") gets a normal weight whose standard deviation is
given in millimetres of peak skin displacement, so that sliders of very different strength vary a
face by comparable amounts. The deviations were tuned until the sampled heads' means and deviations
of fifteen facial distances came close to Farkas, "Anthropometry of the Head and Face" (1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiff.faces.macro import macro_weights
from fitdiff.faces.streams import stream
from fitdiff.faces.topology import HeadTopology, MorphTargets

AGE_RANGE = (18.0, 80.0)

TONE_BINS = ((55.0, 61.0), (41.0, 55.0), (28.0, 41.0), (10.0, 28.0), (-30.0, 10.0), (-58.0, -30.0))
"""Individual typology angle (degrees) of the usual six classes: very light, light, intermediate,
tan, brown, dark; closed at the ends by what the pigment model reaches."""

SUFFIX_PAIRS = (("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"),
                ("concave", "convex"), ("compress", "uncompress"), ("uncompress", "compress"))  # fmt: skip

GROUP_SIGMA_MM = {
    "head": 2.3, "forehead": 3.0, "eyebrows": 1.1, "neck": 2.6, "eyes": 0.75, "nose": 1.1,
    "mouth": 0.95, "ears": 2.0, "chin": 2.2, "cheek": 1.7,
}  # fmt: skip
"""Peak displacement of one standard deviation, by target folder."""

FEATURE_SIGMA_MM = {
    "head-scale-horiz": 2.4, "head-scale-vert": 1.8, "head-scale-depth": 1.6, "head-angle": 1.8,
    "head-age": 0.5, "head-fat": 2.6, "head-back-scale-depth": 2.5,
    "forehead-nubian": 5.0, "forehead-scale-vert": 3.0, "forehead-temple": 2.0, "forehead-trans": 3.5,
    "neck-scale-vert": 4.0, "neck-double": 2.0, "neck-trans-forward": 2.0,
    "nose-trans-in": 0.25, "nose-point": 1.8, "nose-scale-depth": 2.0, "nose-scale-vert": 1.7,
    "nose-volume": 1.0, "nose-scale-horiz": 0.75, "nose-width3": 0.75, "nose-flaring": 0.8,
    "nose-nostrils-width": 0.7,
    "mouth-trans-in": 0.35, "mouth-trans-up": 1.6, "mouth-scale-horiz": 1.3, "mouth-trans-forward": 1.5,
    "chin-height": 3.5, "chin-bones": 3.0, "chin-cleft": 0.7, "chin-jaw-drop": 1.3,
    "eye-bag": 0.5, "eye-trans-in": 0.75, "eye-scale": 0.6, "eye-trans-up": 0.9, "eye-height3": 0.7,
    "eye-height1": 0.6, "eye-height2": 0.7, "eye-epicanthus": 0.7,
    "ear-shape-pointed": 2.0, "ear-wing": 3.0, "ear-trans-up": 2.0, "ear-scale": 1.6,
    "ear-scale-vert": 1.6, "ear-flap": 3.0,
}  # fmt: skip
"""Exceptions from the group's value, by feature (side prefix and suffix removed)."""

UNUSED_FEATURES = {"head-trans-in", "head-trans-up", "head-trans-forward", "neck-trans-in", "neck-trans-up"}
"""Sliders that only move the head as a whole."""

OUTLINE_SIGMA_MM = {
    "head/head-oval": 1.0, "head/head-round": 1.0, "head/head-rectangular": 2.0, "head/head-square": 2.0,
    "head/head-triangular": 1.8, "head/head-invertedtriangular": 2.0, "head/head-diamond": 1.5,
    "chin/chin-triangle": 1.5,
}  # fmt: skip
"""One-sided targets of the face's outline; half-normal weights."""

_TRANSLATION_AXIS = {"in": "-in", "down": "-up", "backward": "-forward"}

SLIDER_MEAN = {
    "eye-trans-in": 1.9, "eye-scale": 1.0, "eye-push1": 0.9, "eye-push2": 0.6, "mouth-scale-horiz": 1.1,
    "mouth-upperlip-width": 0.4, "chin-height": 1.1, "nose-trans-up": 0.3, "head-scale-vert": 0.4,
    "head-scale-horiz": -0.4,
}  # fmt: skip
"""Means in deviations where not 0: the source's average head has too small eyes and mouth, too close
together, and too short a lower face. Fitted by least squares with a ridge towards rounded adult means
of nine facial distances of the kind that Farkas (1994) tabulates, over both genders; about two thirds
of the difference are taken back."""

MAX_SLIDER_SIGMA = 0.55
SLIDER_CLIP = 2.4
ASYMMETRY_SIGMA_MM = 0.8
SIDE_JITTER = 0.18
"""Left and right sliders share one normal draw and differ by this much of another."""


@dataclass(frozen=True)
class Traits:
    """What shape, skin, hair and eyes have in common.

    Attributes:
        tone: wanted individual typology angle of the cheeks in degrees, 61 (lightest) … -58.
        mixture: shares of the (african, asian, caucasian) archetypes in the head's shape, sum 1.
        male: 0 female … 1 male, continuous, bimodal.
        years: age.
        muscle, weight: 0…1, 0.5 is average.
    """

    tone: float
    mixture: tuple[float, float, float]
    male: float
    years: float
    muscle: float
    weight: float


@dataclass(frozen=True)
class _Slider:
    negative: str
    positive: str
    sigma: float
    mean: float  # in deviations
    shared_key: str | None  # sliders of both sides with one key move together


class IdentitySampler:
    """Draws traits and morph weights from an identity seed."""

    def __init__(self, topology: HeadTopology, targets: MorphTargets):
        """Collect slider pairs and their deviations for one set of targets."""
        self.targets = targets
        self._skin_count = topology.skin_count
        self._sliders = self._collect_sliders()
        self._asymmetries = self._collect_asymmetries()
        self._outlines = [(name, min(sigma / self._peak(name), 0.3)) for name, sigma in OUTLINE_SIGMA_MM.items()]

    def _peak(self, name: str) -> float:
        return self.targets.peak_mm(name, self._skin_count)

    def _collect_sliders(self) -> list[_Slider]:
        known = self.targets.index
        sliders, done = [], set()
        for name in self.targets.names:
            group = name.split("/")[0]
            if group not in GROUP_SIGMA_MM or name in done:
                continue
            for low, high in SUFFIX_PAIRS:
                partner = name[: -len(low)] + high
                if not name.endswith("-" + low) or partner not in known:
                    continue
                done |= {name, partner}
                stem = name.split("/")[1][: -len(low) - 1]
                sided = stem[:2] in ("l-", "r-")
                feature = stem[2:] if sided else stem
                axis = _TRANSLATION_AXIS.get(low, "") if feature.endswith("trans") else ""
                if feature + axis in UNUSED_FEATURES:
                    break
                by_group = FEATURE_SIGMA_MM.get(feature, GROUP_SIGMA_MM[group])
                millimetres = FEATURE_SIGMA_MM.get(feature + axis, by_group)
                a, b = self._peak(name), self._peak(partner)
                sigma = min(millimetres / max((a + b) / 2, 0.5 * max(a, b)), MAX_SLIDER_SIGMA)
                mean = SLIDER_MEAN.get(feature + axis, 0.0)
                sliders.append(_Slider(name, partner, sigma, mean, f"{stem[2:]}-{low}" if sided else None))
                break
        return sliders

    def _collect_asymmetries(self) -> list[tuple[str, str, float]]:
        out = []
        for left in self.targets.names:
            if left.startswith("asym/asym-") and left.endswith("-l"):
                right = left[:-1] + "r"
                sigma = min(ASYMMETRY_SIGMA_MM / max(self._peak(left), self._peak(right)), 0.35)
                out.append((left, right, sigma))
        return out

    def traits(self, seed: int) -> Traits:
        """Draw the traits of one person.

        Skin tone comes first, each of the six bins of :data:`TONE_BINS` equally often; the mixture
        of archetypes depends on it only loosely. Its Dirichlet draw is pulled 12 % towards the
        centre: the pure archetypes are caricatures.
        """
        rng = stream(seed, "traits")
        low, high = TONE_BINS[rng.integers(len(TONE_BINS))]
        tone = float(rng.uniform(low, high))
        light = np.clip((tone + 30) / 80, 0, 1)
        mixture = 0.12 / 3 + 0.88 * rng.dirichlet(
            [0.35 + 1.1 * (1 - light) ** 2, 0.35 + 0.5 * light, 0.3 + 0.7 * light**2]
        )
        male = float(np.clip((0.9 if rng.random() < 0.5 else 0.12) + 0.12 * rng.normal(), 0, 1))
        low, high = AGE_RANGE
        years = float(low + (high - low) * rng.beta(1.15, 1.55))
        return Traits(
            tone=tone,
            mixture=tuple(float(x) for x in mixture),
            male=male,
            years=years,
            muscle=float(np.clip(0.5 + 0.16 * rng.normal(), 0, 1)),
            weight=float(np.clip(0.5 + 0.17 * rng.normal(), 0.1, 1)),
        )

    def weights(self, seed: int, traits: Traits | None = None, detail: float = 1.0) -> np.ndarray:
        """Return target weights, float32 [T]; ``detail`` scales all sliders."""
        traits = traits or self.traits(seed)
        rng = stream(seed, "shape")
        height = float(np.clip(0.5 + 0.1 * rng.normal(), 0, 1))
        out = macro_weights(
            self.targets.index, traits.mixture, traits.male, traits.years, traits.muscle, traits.weight, height
        )
        shared: dict[str, float] = {}
        for slider in self._sliders:
            value = rng.normal()
            if slider.shared_key is not None:
                value = shared.setdefault(slider.shared_key, rng.normal()) + SIDE_JITTER * value
            value = (slider.mean + float(np.clip(value, -SLIDER_CLIP, SLIDER_CLIP)) * detail) * slider.sigma
            name = slider.positive if value > 0 else slider.negative
            out[name] = out.get(name, 0.0) + abs(value)
        for left, right, sigma in self._asymmetries:
            value = float(np.clip(rng.normal(), -2, 2)) * sigma
            out[left if value > 0 else right] = abs(value)
        for name, sigma in self._outlines:
            out[name] = abs(rng.normal()) * sigma * detail
        return self.targets.vector(out)
