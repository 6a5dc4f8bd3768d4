"""Per-pixel shading (numba): skin, eyes, teeth, mouth, cloth, hair.

Lights are spherical lobes of any width with shadow maps, plus a hemispherical ambient term. Skin
has a two-lobe GGX highlight (Walter et al. 2007, Schlick Fresnel) and a wrapped diffuse term whose
width differs by channel, which stands in for subsurface scattering; hair follows Kajiya and Kay
(1989) with a second, coloured highlight. Colours are linear, positions in camera space (camera at
the origin, looking down -z), lengths in decimetres.
"""

from __future__ import annotations

import numba as nb
import numpy as np

SKIN, EYE, TEETH, MOUTH, CLOTH, HAIR, BEARD, LASH, NECK = range(9)
MATERIAL_COUNT = 9

TEETH_COLOUR = (0.60, 0.53, 0.43)
SCLERA = (0.52, 0.475, 0.45)
"""L* of 75: about as light as light skin, and lighter than other skin."""


@nb.njit(inline="always")
def _sample(texture, u, v, out):
    """Bilinear texture look-up; v up, edges clamped."""
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(u * width - 0.5, 0.0), width - 1.001)
    y = min(max((1 - v) * height - 0.5, 0.0), height - 1.001)
    i, j = int(y), int(x)
    fy, fx = y - i, x - j
    for c in range(texture.shape[2]):
        top = texture[i, j, c] * (1 - fx) + texture[i, j + 1, c] * fx
        bottom = texture[i + 1, j, c] * (1 - fx) + texture[i + 1, j + 1, c] * fx
        out[c] = top * (1 - fy) + bottom * fy


@nb.njit(inline="always")
def _unit(v):
    length = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + 1e-9
    for c in range(3):
        v[c] /= length


@nb.njit(inline="always")
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@nb.njit(cache=True, fastmath=True)
def _lit(shadow, x, y, depth, radius, bias):
    """Share of 25 shadow-map samples that the point is not behind of."""
    size = shadow.shape[0]
    total = 0.0
    for a in range(-2, 3):
        for b in range(-2, 3):
            i, j = int(y + a * radius), int(x + b * radius)
            outside = i < 0 or j < 0 or i >= size or j >= size
            if outside or depth + bias >= shadow[i, j]:
                total += 1.0
    return total / 25.0


@nb.njit(cache=True, fastmath=True)
def _eye_colour(local, iris, out):
    """Albedo of the eyeball.

    Args:
        local: [3] direction from the eye's centre, z along the gaze.
        iris: [9] colour (3), angular radius, pattern phase, pupil radius (of the iris), ring
            darkness, sclera tint, sclera brightness.
    """
    angle = np.arccos(min(1.0, max(-1.0, local[2])))
    azimuth = np.arctan2(local[1], local[0])
    r = angle / iris[3]
    tint = iris[7]
    outside = angle - iris[3]
    waves = 0.5 + 0.5 * np.sin(angle * 40 + 6 * np.sin(azimuth * 9 + iris[4]) + 4 * np.sin(azimuth * 23 + angle * 20))
    vein = max(0.0, waves - 0.86) * 2.2 * min(1.0, max(0.0, outside * 1.6)) * (0.5 + tint)
    redness = min(1.0, max(0.0, (outside - 0.12) * 1.1)) * (0.6 + 0.8 * tint)
    sclera0 = iris[8] * SCLERA[0] * (1 - 0.15 * vein)
    sclera1 = iris[8] * SCLERA[1] * (1 - 0.75 * vein) * (1 - 0.24 * redness)
    sclera2 = iris[8] * SCLERA[2] * (1 - 0.75 * vein) * (1 - 0.28 * redness) * (1 - 0.18 * tint)
    if r >= 1.1:
        out[0], out[1], out[2] = sclera0, sclera1, sclera2
        return
    fibres = 0.5 + 0.5 * np.sin(azimuth * 37 + 3 * np.sin(azimuth * 11 + iris[4]) + 6 * r)
    fibres *= 0.5 + 0.5 * np.sin(azimuth * 83 + 2 * np.sin(azimuth * 23 + 2 * iris[4]))
    collarette = np.exp(-(((r - iris[5] - 0.14) / 0.10) ** 2))
    brightness = 0.55 + 0.40 * fibres + 0.25 * (1 - 2 * abs(r - 0.58)) + 0.2 * collarette
    pupil = 1 / (1 + np.exp(-(r - iris[5]) * 55))
    ring = 1 / (1 + np.exp((r - 0.88) * 22))
    white = 1 / (1 + np.exp(-(r - 1.0) * 34))
    warm = 0.35 * collarette
    shade = brightness * pupil * (1 - iris[6] + iris[6] * ring)
    iris0, iris1, iris2 = iris[0] * (1 + warm), iris[1], iris[2] * (1 - 0.5 * warm)
    out[0] = (iris0 * shade + 0.003) * (1 - white) + sclera0 * white
    out[1] = (iris1 * shade + 0.003) * (1 - white) + sclera1 * white
    out[2] = (iris2 * shade + 0.003) * (1 - white) + sclera2 * white


@nb.njit(cache=True, fastmath=True)
def _highlight(roughness, f0, width, cos_nl, cos_nv, cos_nh, cos_vh):
    """Two GGX lobes, times pi; the light's width adds to the roughness."""
    fresnel = f0 + (1 - f0) * (1 - cos_vh) ** 5
    total = 0.0
    for lobe in range(2):
        alpha = roughness * roughness if lobe == 0 else (0.6 * roughness) ** 2
        alpha = min(1.0, np.sqrt(alpha * alpha + (0.5 * width) ** 2))
        square = alpha * alpha
        distribution = square / (np.pi * (cos_nh * cos_nh * (square - 1) + 1) ** 2)
        k = 0.5 * alpha
        masking = 0.25 / ((cos_nl * (1 - k) + k) * (cos_nv * (1 - k) + k))
        total += (0.88 if lobe == 0 else 0.12) * distribution * masking
    return total * fresnel * cos_nl * np.pi


@nb.njit(cache=True, fastmath=True)
def shade(
    triangle_id, bary, strand, triangles, material, position, normal, tangent, detail, uv, openness,
    mip0, mip1, mip2, mip3, level, light_direction, light_colour, light_width, ambient_up, ambient_down, up,
    shadow_maps, shadow_matrices, iris, palette, out,
):  # fmt: skip
    """Shade every covered pixel.

    Args:
        triangle_id, bary, strand: [H, W], [H, W, 3], [H, W] from the rasterisers.
        triangles: [T, 3]; material: int8 [T]; level: int8 [T] texture level 0…3.
        position, normal, tangent: [V, 3] camera space. detail: [V, 3] local eye direction.
        uv: [V, 2]; openness: [V] ambient occlusion.
        mip0…mip3: [S, S, 8] skin texture levels: albedo 3, F0, roughness, normal x y, variance.
        light_direction, light_colour: [L, 3]; light_width: [L], 0 sharp … 1 very soft.
        ambient_up, ambient_down: [3] hemispherical light; up: [3] its axis.
        shadow_maps: [M, N, N]; shadow_matrices: [M, 3, 4] for the first M lights.
        iris: [9], see :func:`_eye_colour`; palette: [MATERIAL_COUNT, 3] albedo by material.
        out: [H, W, 3] linear radiance.
    """
    height, width = triangle_id.shape
    shadowed = shadow_maps.shape[0]
    texel = np.zeros(8)
    p, n, nd, t, b, v, q = (np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3))
    albedo, light, diffuse, gloss, k, s = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    blend, wrap = np.array([0.60, 0.28, 0.15]), np.zeros(3)
    for y in range(height):
        for x in range(width):
            tri = triangle_id[y, x]
            if tri < 0:
                continue
            i0, i1, i2 = triangles[tri, 0], triangles[tri, 1], triangles[tri, 2]
            w0, w1, w2 = bary[y, x, 0], bary[y, x, 1], bary[y, x, 2]
            for c in range(3):
                p[c] = w0 * position[i0, c] + w1 * position[i1, c] + w2 * position[i2, c]
                n[c] = w0 * normal[i0, c] + w1 * normal[i1, c] + w2 * normal[i2, c]
                t[c] = w0 * tangent[i0, c] + w1 * tangent[i1, c] + w2 * tangent[i2, c]
                v[c] = -p[c]
            _unit(n)
            _unit(v)
            ao = w0 * openness[i0] + w1 * openness[i1] + w2 * openness[i2]
            u_ = w0 * uv[i0, 0] + w1 * uv[i1, 0] + w2 * uv[i2, 0]
            v_ = w0 * uv[i0, 1] + w1 * uv[i1, 1] + w2 * uv[i2, 1]
            m = material[tri]
            is_hair = m == HAIR or m == BEARD
            f0, roughness = 0.03, 0.5
            wrap[0], wrap[1], wrap[2] = 0.25, 0.10, 0.05
            for c in range(3):
                nd[c] = n[c]
                albedo[c] = palette[m, c]
            if m == SKIN:
                if level[tri] <= 0:
                    _sample(mip0, u_, v_, texel)
                elif level[tri] == 1:
                    _sample(mip1, u_, v_, texel)
                elif level[tri] == 2:
                    _sample(mip2, u_, v_, texel)
                else:
                    _sample(mip3, u_, v_, texel)
                along = _dot(t, n)
                for c in range(3):
                    albedo[c] = texel[c]
                    t[c] -= along * n[c]
                _unit(t)
                b[0] = n[1] * t[2] - n[2] * t[1]
                b[1] = n[2] * t[0] - n[0] * t[2]
                b[2] = n[0] * t[1] - n[1] * t[0]
                nz = np.sqrt(max(0.0, 1 - texel[5] * texel[5] - texel[6] * texel[6]))
                for c in range(3):
                    nd[c] = texel[5] * t[c] + texel[6] * b[c] + nz * n[c]
                _unit(nd)
                f0 = texel[3]
                # Relief finer than the level's texels becomes roughness (Toksvig's idea).
                roughness = min(0.9, np.sqrt(texel[4] * texel[4] + 0.5 * max(0.0, texel[7])))
            elif m == EYE:
                for c in range(3):
                    q[c] = w0 * detail[i0, c] + w1 * detail[i1, c] + w2 * detail[i2, c]
                _unit(q)
                _eye_colour(q, iris, albedo)
                f0, roughness = 0.028, 0.10
                wrap[0], wrap[1], wrap[2] = 0.12, 0.10, 0.08
            elif m == TEETH:
                f0, roughness = 0.04, 0.25
                place = u_ - np.floor(u_)
                gap = np.exp(-((min(place, 1 - place) / 0.05) ** 2))
                for c in range(3):
                    albedo[c] *= 1 - 0.6 * gap
                ao = 0.25 + 0.75 * ao
            elif m == MOUTH:
                roughness = 0.35
            elif m == CLOTH:
                f0, roughness = 0.02, 0.85
                wrap[0], wrap[1], wrap[2] = 0.0, 0.0, 0.0
            elif m == NECK:
                f0, roughness = 0.025, 0.52
            elif m == LASH:
                f0, roughness = 0.01, 0.6
            else:
                roughness = 0.45
                wrap[0], wrap[1], wrap[2] = 0.3, 0.3, 0.3
                for c in range(3):
                    albedo[c] *= 0.45 + 0.75 * strand[y, x]
                _unit(t)
            if m != EYE and _dot(v, n) < 0:
                for c in range(3):
                    nd[c] = -nd[c]
                    n[c] = -n[c]
            cos_nv = max(0.05, _dot(nd, v))
            sky = 0.5 + 0.5 * _dot(n, up)
            ao = 0.12 + 0.88 * ao
            # Strands have no common surface at grazing angles: hair gets no rim light.
            rim = 0.3 * f0 if is_hair else f0 + (max(1 - roughness, f0) - f0) * (1 - cos_nv) ** 5
            glossy_ao = min(1.0, 1.15 * ao) ** 2
            for c in range(3):
                ambient = ambient_down[c] * (1 - sky) + ambient_up[c] * sky
                diffuse[c] = ambient * ao ** (0.8 + 0.15 * c)
                gloss[c] = 0.8 * ambient * rim * glossy_ao
            for j in range(light_direction.shape[0]):
                spread = light_width[j]
                for c in range(3):
                    light[c] = light_direction[j, c]
                cos_geometric, cos_detailed = _dot(n, light), _dot(nd, light)
                lit = min(1.0, 1.25 * ao)
                if j < shadowed:
                    # Points are pushed along the normal before the test, more so at grazing light.
                    push = 0.035 + 0.06 * (1 - max(0.0, cos_geometric))
                    for r in range(3):
                        s[r] = shadow_matrices[j, r, 3]
                        for c in range(3):
                            s[r] += shadow_matrices[j, r, c] * (p[c] + push * n[c])
                    lit = _lit(shadow_maps[j], s[0], s[1], s[2], 0.6 + 3.0 * spread, 0.02 + 0.02 * spread)
                    lit *= 0.55 + 0.45 * min(1.0, 1.3 * ao)
                soft = 0.45 * spread
                for c in range(3):
                    # Red light travels far in skin: it sees the smooth normal, blue the detailed one.
                    cosine = blend[c] * cos_geometric + (1 - blend[c]) * cos_detailed
                    k[c] = max(0.0, (cosine + wrap[c] + soft) / (1 + wrap[c] + soft))
                    k[c] = k[c] * k[c] / (0.35 + 0.65 * k[c]) if k[c] > 0 else 0.0
                penumbra0, penumbra1 = lit**0.72, lit**0.95
                if is_hair:
                    tl, tv = _dot(t, light), _dot(t, v)
                    sl, sv = np.sqrt(max(0.0, 1 - tl * tl)), np.sqrt(max(0.0, 1 - tv * tv))
                    k[0] = k[1] = k[2] = 0.8 * sl * min(1.0, max(0.0, 0.85 * cos_geometric + 0.35))
                    facing = lit * min(1.0, max(0.0, 2 * cos_geometric + 0.3)) * ao
                    shifted = tl + 0.12 + 0.25 * (strand[y, x] - 0.5)
                    exponent = 40.0 / (1 + 6 * spread)
                    first = max(0.0, sl * sv - shifted * tv) ** exponent * 0.022 * (0.4 + 1.2 * strand[y, x]) * facing
                    second = max(0.0, sl * sv - (tl - 0.2) * tv) ** (0.45 * exponent) * 0.5 * facing
                    for c in range(3):
                        gloss[c] += light_colour[j, c] * (first + second * albedo[c])
                elif cos_detailed > 0 or spread > 0.3:
                    for c in range(3):
                        q[c] = light[c] + v[c]
                    _unit(q)
                    cos_nh, cos_vh = max(0.0, _dot(nd, q)), max(0.0, _dot(v, q))
                    # The wet cornea mirrors sharply even under wide lights.
                    blur = 0.35 * spread if m == EYE else spread
                    shine = _highlight(roughness, f0, blur, max(0.02, cos_detailed), cos_nv, cos_nh, cos_vh)
                    shine *= lit * min(1.0, max(0.0, 8 * cos_detailed + 0.2))
                    for c in range(3):
                        gloss[c] += light_colour[j, c] * shine
                diffuse[0] += light_colour[j, 0] * k[0] * penumbra0
                diffuse[1] += light_colour[j, 1] * k[1] * penumbra1
                diffuse[2] += light_colour[j, 2] * k[2] * lit
            inside = 1.0
            if m == MOUTH or m == TEETH:
                inside = 0.30 + 0.70 * ao
            elif m == EYE:
                inside = 0.75 + 0.25 * ao
            for c in range(3):
                out[y, x, c] = (albedo[c] * diffuse[c] + gloss[c]) * inside
