"""Skin maps of one person: diffuse albedo, specular albedo, normals and roughness in texture space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fitdiff.faces.appearance import Appearance
from fitdiff.faces.facial_hair import beard_coverage, brow_coverage, scalp_coverage
from fitdiff.faces.noise import stamp
from fitdiff.faces.numerics import smoothstep
from fitdiff.faces.optics import ColourTable
from fitdiff.faces.regions import FrontLookup, build_regions
from fitdiff.faces.relief import NormalMapper, pore_map, wrinkle_height
from fitdiff.faces.streams import stream
from fitdiff.faces.texel_noise import TexelNoise
from fitdiff.faces.uv_bake import TexelGeometry

F0_RANGE = (0.008, 0.05)
HAIR_F0 = 0.027
EYE_RIM_F0 = 0.038


@dataclass(frozen=True)
class SkinMaps:
    """Maps of one person, float32.

    Attributes:
        diffuse: [S, S, 3] albedo, linear sRGB primaries, 0…1.
        specular: [S, S] F0 at normal incidence.
        roughness: [S, S] perceptual roughness (for rendering; not part of the data set).
        normal: [S, S, 3] tangent space, unit, OpenGL Y+.
        beard: [S, S] coverage of the beard, for the shells that stand on it.
    """

    diffuse: np.ndarray
    specular: np.ndarray
    roughness: np.ndarray
    normal: np.ndarray
    beard: np.ndarray


@dataclass
class _Noises:
    """Noise fields shared by colour and relief; suffix: wavelength."""

    broad: list[np.ndarray]  # 35 mm
    middle: list[np.ndarray]  # 9 mm
    small: np.ndarray  # 2.2 mm
    fine: np.ndarray  # 0.9 mm
    lip: np.ndarray  # vertical grooves of the lips


class SkinPainter:
    """Paints the maps of any person at one map size."""

    def __init__(self, geometry: TexelGeometry):
        self.geometry = geometry
        self.size = geometry.size
        self.regions = build_regions(geometry)
        self.noise = TexelNoise(geometry)
        self.lookup = FrontLookup(geometry)
        self.normal_mapper = NormalMapper(geometry)
        position = geometry.position
        area = np.where(geometry.chart, self.normal_mapper.texel_mm**2, 0)
        visible = (position[..., 2] > 0.5) & (position[..., 1] > 6.2)
        weight = (area * visible * (1 - self.regions.lip_wide) * (1 - self.regions.eye_opening)).ravel()
        self._spot_probability = weight / weight.sum()

    def paint(self, seed: int, person: Appearance) -> SkinMaps:
        """Return the maps of one person; the same arguments give the same maps."""
        r, size = self.regions, self.size
        rng = stream(seed, "skin spots")
        noises = self._noises(person)
        edge = ndimage.gaussian_filter(r.lip.astype(float), 0.8 * size / 512)
        lip = np.clip(edge + 0.10 * noises.small * (r.lip > 0.02) * (r.lip < 0.98), 0, 1)

        moles = self._spots(rng, person.moles, (0.3, 1.05), 6, (0.45, 1.0))
        blemishes = self._spots(rng, person.blemishes, (0.7, 2.2), 3.5, (0.35, 1.0))
        melanin = self._melanin(rng, person, noises, moles, lip)
        blood, oxygenation = self._blood(person, noises, blemishes, lip)
        albedo = ColourTable(person.eumelanin, person.carotene).colour(melanin, blood, oxygenation)

        pores, pore_distance = pore_map(person, r, self.noise, lip)
        height = 0.0225 * person.roughness * noises.middle[2] + 0.020 * person.roughness * noises.small
        height += 0.006 * person.roughness * noises.fine - 0.055 * pores
        height += 0.012 * (pore_distance - 0.4) * person.roughness * (1 - lip)
        height *= 1 - 0.6 * r.eye_opening
        grooves = -0.075 * (0.6 + 0.4 * person.wrinkles) * np.abs(noises.lip) + 0.02 * noises.small
        height = height * (1 - 0.6 * lip) + lip * grooves + 0.14 * lip * (1 - lip)
        height += 0.125 * blemishes**1.5 + 0.09 * moles
        wrinkle_height(person, seed, self.noise, self.geometry.chart, self.lookup, height)

        brows = brow_coverage(person, seed, size, self.noise, self.lookup)
        beard, shadow = beard_coverage(person, r, self.noise, noises.middle[0])
        scalp = scalp_coverage(person, r, self.noise)
        if person.beard > 0.35:
            height += beard * (0.20 * person.beard + 0.08 * noises.fine)

        albedo *= 1 - shadow[..., None] * np.array([0.20, 0.165, 0.12])
        albedo = self._makeup(person, albedo, lip, noises)
        lashes = 0.5 * np.exp(-((r.upper_lid_mm / 0.7) ** 2)) + 0.16 * np.exp(-((r.lower_lid_mm / 0.55) ** 2))
        albedo *= 1 - np.clip(lashes, 0, 0.8)[..., None]
        albedo *= (1 - 0.75 * r.nostril)[..., None]
        albedo *= (1 - 0.10 * np.clip(pores, 0, 1.4))[..., None]
        cavity = ndimage.gaussian_filter(height, 1.5 * size / 512) - ndimage.gaussian_filter(height, 5 * size / 512)
        albedo *= np.clip(1 + 0.55 * np.clip(cavity, -0.35, 0.1), 0.8, 1.05)[..., None]
        variation = np.clip(1 + 0.07 * noises.fine + 0.07 * noises.small, 0.6, 1.5)[..., None]
        for coverage, strength, colour in (
            (brows, 0.90, person.brow_colour),
            (beard, 0.93, person.beard_colour),
            (scalp, 1.0, person.hair_colour),
        ):
            amount = (coverage * strength)[..., None]
            albedo = albedo * (1 - amount) + np.array(colour) * amount * variation

        hair = np.clip(brows + beard + scalp, 0, 1)
        specular, roughness = self._gloss(person, noises, pores, cavity, lip, hair)
        height += 0.05 * hair * noises.fine + 0.12 * brows
        return SkinMaps(
            diffuse=np.clip(albedo, 0.004, 0.95).astype(np.float32),
            specular=specular.astype(np.float32),
            roughness=roughness.astype(np.float32),
            normal=self.normal_mapper(height).astype(np.float32),
            beard=beard.astype(np.float32),
        )

    def _noises(self, person: Appearance) -> _Noises:
        base, noise = person.noise, self.noise
        return _Noises(
            broad=[noise.fbm(35.0, base + i, 2, 0.5, coarse=True) for i in range(3)],
            middle=[noise.fbm(9.0, base + 10 + i, 3, 0.6, coarse=True) for i in range(3)],
            small=noise.fbm(2.2, base + 20, 3, 0.65),
            fine=noise.fbm(0.9, base + 30, 2, 0.7),
            lip=noise.fbm((1.3, 7.0, 2.5), base + 71, 2, 0.6),
        )

    def _spots(
        self,
        rng: np.random.Generator,
        count: int,
        radius_mm: tuple[float, float],
        hardness: float,
        amount: tuple[float, float],
    ) -> np.ndarray:
        """Random round spots on the face, uniformly by surface area."""
        out = np.zeros((self.size, self.size))
        if count:
            texels = rng.choice(self.size**2, size=count, p=self._spot_probability)
            columns, rows = texels % self.size, texels // self.size
            radius = rng.uniform(*radius_mm, count)
            texel_mm = np.maximum(self.normal_mapper.texel_mm[rows, columns], 0.15)
            window = np.minimum((radius * 1.8 / texel_mm).astype(int) + 2, 40)
            stamp(
                self.noise.positions, columns, rows, radius, np.full(count, hardness), rng.uniform(*amount, count),
                window, out,
            )  # fmt: skip
        return out

    def _melanin(self, rng, person: Appearance, noises: _Noises, moles: np.ndarray, lip: np.ndarray) -> np.ndarray:
        """Melanosome fraction: tan on exposed skin, mottling, freckles, age spots, moles, lips."""
        r, dark = self.regions, person.darkness
        exposure = 0.35 * r.forehead + 0.30 * r.nose + 0.25 * r.cheek_wide + 0.1 * r.chin - 0.5 * r.neck - 0.15 * r.ear
        logarithm = person.tan * (exposure - 0.1)
        mottling = 0.55 * noises.broad[0] + 0.6 * noises.middle[0] + 0.35 * noises.small
        logarithm += person.melanin_blotches * mottling + 0.06 * noises.fine
        logarithm += person.periorbital * (0.55 * r.upper_lid + 0.45 * r.under_eye)
        temples = smoothstep(0.2, 0.5, np.abs(self.geometry.position[..., 0]))
        logarithm += dark * (0.25 * r.perioral + 0.2 * r.forehead * temples) - 0.12 * r.cheek + 0.10 * r.nasolabial
        if person.freckles > 0.05:
            logarithm += self._freckles(person, noises)
        logarithm += self._spots(rng, person.spots, (1.0, 3.6), 4, (0.15, 0.6)) * (0.8 + 0.3 * noises.small)
        melanin = np.clip(person.melanin * np.exp(logarithm), 0.003, 1.2)
        mole_melanin = np.clip(0.35 + person.melanin, 0, 1)
        melanin = np.maximum(melanin, melanin * (1 - moles) + moles * mole_melanin)
        lip_melanin = np.clip(melanin * person.lip_melanin * (1 + 0.25 * r.lip_wide * dark), 0.003, 1.0)
        return melanin * (1 - lip) + lip * lip_melanin

    def _freckles(self, person: Appearance, noises: _Noises) -> np.ndarray:
        r = self.regions
        distance, identity = self.noise.cells(2.6, person.noise + 41)
        density = 0.25 * r.forehead + np.maximum(r.cheek, r.nose) + 0.45 * r.cheek_wide + 0.08
        density = np.clip(density, 0, 1) * person.freckles * 1.1 * (1 + 0.6 * noises.middle[1])
        radius = 0.16 + 0.22 * ((identity * 7.3) % 1)
        spot = smoothstep(radius + 0.12, radius - 0.1, distance + 0.06 * noises.fine)
        strength = (0.4 + 0.6 * ((identity * 13.7) % 1)) * 1.15 * min(1.0, 0.5 + person.freckles)
        return np.where(identity < density, spot, 0) * strength

    def _blood(
        self, person: Appearance, noises: _Noises, blemishes: np.ndarray, lip: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Blood fraction (cheeks, nose, ears, lips, small vessels) and its oxygenation."""
        r = self.regions
        mottling = noises.broad[1] + noises.middle[1] + 0.6 * noises.small + 0.25 * noises.fine
        logarithm = person.blotches * mottling
        logarithm += person.cheek_redness * (r.cheek * (1 + 0.35 * noises.middle[2]) + 0.28 * r.chin)
        logarithm += person.nose_redness * (r.nose_tip + 0.25 * r.nose + 0.5 * r.nasolabial)
        logarithm += person.ear_redness * r.ear + 0.25 * r.upper_lid + 0.25 * r.under_eye
        logarithm += 0.22 * r.perioral - 0.12 * r.forehead - 0.18 * r.neck + 1.1 * blemishes
        if person.vessels > 0.1:
            ridge = np.abs(self.noise.fbm(4.5, person.noise + 61, 3, 0.6))
            where = np.clip(r.nose_tip + r.nasolabial + 0.8 * r.cheek, 0, 1)
            logarithm += person.vessels * 1.2 * smoothstep(0.16, 0.03, ridge) * where
        lid_mm = np.minimum(r.upper_lid_mm, r.lower_lid_mm)
        logarithm += 0.9 * np.exp(-((lid_mm / 1.1) ** 2)) * (1 - r.eye_opening) + 0.9 * r.eye_opening
        skin_blood = person.blood * np.exp(logarithm)
        lip_blood = person.lip_blood * np.exp(0.14 * noises.middle[0] + 0.10 * noises.lip + 0.12 * noises.small)
        blood = skin_blood * (1 - lip) + lip_blood * lip
        oxygenation = person.oxygenation - 0.28 * person.under_eye * r.under_eye - 0.08 * r.upper_lid
        return blood * (1 + 0.55 * person.under_eye * r.under_eye), np.clip(oxygenation, 0.25, 0.95)

    def _makeup(self, person: Appearance, albedo: np.ndarray, lip: np.ndarray, noises: _Noises) -> np.ndarray:
        """Foundation (smoothing), rouge, lip colour and eye liner."""
        if person.makeup <= 0:
            return albedo
        r, strength = self.regions, person.makeup
        foundation = (0.4 * strength * (1 - lip) * (1 - r.eye_opening))[..., None]
        blur = 5 * self.size / 512
        albedo = albedo * (1 - foundation) + ndimage.gaussian_filter(albedo, (blur, blur, 0)) * foundation
        albedo *= 1 - 0.35 * strength * r.cheek[..., None] * np.array([0.05, 0.30, 0.24])
        tint = (lip * person.lip_tint)[..., None]
        albedo = albedo * (1 - tint) + np.array(person.lip_colour) * tint * (1 + 0.15 * noises.small[..., None])
        liner = 0.75 * person.eye_liner * np.exp(-((r.upper_lid_mm / 1.3) ** 2)) * (1 - 0.3 * r.eye_opening)
        return albedo * (1 - liner[..., None])

    def _gloss(
        self,
        person: Appearance,
        noises: _Noises,
        pores: np.ndarray,
        cavity: np.ndarray,
        lip: np.ndarray,
        hair: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Specular albedo and roughness."""
        r = self.regions
        zones = 1 + 0.28 * r.nose_tip + 0.12 * r.nose + 0.10 * r.forehead + 0.06 * r.cheek
        zones = zones - 0.14 * r.neck - 0.10 * r.upper_lid - 0.06 * r.under_eye
        specular = person.specular * zones * (1 + 0.07 * noises.middle[0] + 0.05 * noises.small + 0.03 * noises.fine)
        specular *= 1 - 0.45 * np.clip(pores, 0, 1.3)
        specular *= np.clip(1 + 1.1 * np.clip(cavity, -0.5, 0.15), 0.55, 1.1)
        specular = specular * (1 - lip) + lip * person.specular * 1.32 * (1 + 0.12 * noises.lip)
        specular = specular * (1 - hair) + hair * HAIR_F0
        specular = specular * (1 - r.eye_opening) + r.eye_opening * EYE_RIM_F0
        specular *= 1 - 0.8 * r.nostril
        oil = person.oiliness * (np.clip(r.t_zone + 0.3 * r.cheek, 0, 1) * 0.15 + 0.05)
        roughness = 0.60 - oil + 0.08 * r.neck - 0.13 * lip - 0.2 * r.eye_opening
        roughness = roughness + 0.035 * noises.middle[1] + 0.025 * noises.small + 0.12 * hair
        return np.clip(specular, *F0_RANGE), np.clip(roughness, 0.22, 0.75)
