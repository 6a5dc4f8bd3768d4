"""Named vertices and boundary loops of the skin mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiff.errors import SourceDataError
from fitdiff.faces.topology import HeadTopology


@dataclass(frozen=True)
class Anatomy:
    """Vertex indices into the (not subdivided) skin.

    Attributes:
        eye_loops: (left, right) lid margins, in order around the opening.
        mouth_loop: inner lip margin.
        neck_loop: cut at the bottom of the neck.
        points: soft-tissue landmarks by their craniometric names ("n" nasion, "gn" gnathion,
            "prn" nose tip, "sn" subnasale, "en_l" inner eye corner …).
    """

    eye_loops: tuple[list[int], list[int]]
    mouth_loop: list[int]
    neck_loop: list[int]
    points: dict[str, int]


def boundary_loops(quads: np.ndarray) -> list[list[int]]:
    """Closed boundary loops of a quad mesh, each as a list of vertices in edge order."""
    edges = {(a, b) for quad in quads.tolist() for a, b in zip(quad, quad[1:] + quad[:1], strict=True)}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops, seen = [], set()
    for start in sorted(following):
        if start in seen:
            continue
        loop, vertex = [start], following[start]
        while vertex != start:
            loop.append(vertex)
            vertex = following[vertex]
        seen.update(loop)
        loops.append(loop)
    return loops


def find_anatomy(topology: HeadTopology) -> Anatomy:
    """Locate loops and landmarks on the base mesh's own shape."""
    skin = topology.rest[: topology.skin_count]
    loops = boundary_loops(topology.parts["skin"])
    eyes = [loop for loop in loops if len(loop) == 28]
    mouths = [loop for loop in loops if len(loop) == 38]
    necks = [loop for loop in loops if skin[loop][:, 1].mean() < 6.1]
    if len(eyes) != 2 or len(mouths) != 1 or len(necks) != 1:
        raise SourceDataError(
            f"3dobjs/base.obj: skin openings of {sorted(map(len, loops))} edges, expected 28, 28, 38 and a neck"
        )
    eyes.sort(key=lambda loop: -skin[loop][:, 0].mean())
    return Anatomy((eyes[0], eyes[1]), mouths[0], necks[0], _landmarks(skin))


def _landmarks(skin: np.ndarray) -> dict[str, int]:
    x, y, z = skin.T
    middle = np.abs(x) < 1e-6

    def extreme(mask: np.ndarray, key: np.ndarray) -> int:
        indices = np.flatnonzero(mask)
        return int(indices[key[indices].argmax()])

    def nearest(point: tuple[float, float, float]) -> int:
        return int(((skin - point) ** 2).sum(1).argmin())

    points = {
        "prn": extreme(middle, z),
        "sn": extreme(middle & (y > 6.72) & (y < 6.86) & (z > 1.4), -z),
        "n": extreme(middle & (y > 7.15) & (y < 7.5) & (z > 1.2), -z),
        "g": extreme(middle & (y > 7.4) & (y < 7.7) & (z > 1.2), z),
        "gn": extreme(middle & (z > 1.1) & (y < 6.5), 0.35 * z - y),
        "ls": extreme(middle & (y > 6.61) & (y < 6.75) & (z > 1.4), z),
        "li": extreme(middle & (y > 6.46) & (y < 6.6) & (z > 1.4), z),
        "v": extreme(middle, y),
    }
    for side, name in ((1, "l"), (-1, "r")):
        points[f"en_{name}"] = nearest((0.170 * side, 7.268, 1.36))
        points[f"ex_{name}"] = nearest((0.452 * side, 7.290, 1.31))
        points[f"ch_{name}"] = nearest((0.268 * side, 6.608, 1.43))
        points[f"al_{name}"] = nearest((0.175 * side, 6.893, 1.45))
        points[f"zy_{name}"] = extreme((y > 6.95) & (y < 7.25) & (z > 0.72) & (z < 1.3), x * side)
        points[f"sba_{name}"] = extreme((x * side > 0.7) & (y > 6.8) & (y < 6.9) & (z > 0.45) & (z < 0.65), -y)
    return points
