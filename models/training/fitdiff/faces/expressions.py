"""The 52 ARKit blendshapes, composed of MakeHuman's sculpted expression units and bone pose units.

Names as in Apple's ``ARFaceAnchor.BlendShapeLocation``; left and right are the person's. Offsets
are the same for every person: the runtime adds ``sum(weight * offset)`` to the neutral head.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from fitdiff.faces.anatomy import Anatomy
from fitdiff.faces.macro import ARCHETYPES
from fitdiff.faces.makehuman import MakeHumanData
from fitdiff.faces.numerics import smoothstep
from fitdiff.faces.pose_units import read_pose_units
from fitdiff.faces.topology import HeadTopology, MorphTargets

ARKIT_NAMES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""Apple's order."""

SIDE_BLEND = 0.035
"""Width in decimetres of the left/right blend of units that move both sides."""

CLOSED_LIP_DROP = 0.35
"""Share of the lower lip's jaw movement that the closed lips follow."""

TONGUE_DROOP = 0.45
"""How far the tongue sinks per distance that it comes forward."""

EYE_LOOK_RADIANS = {"Up": 0.32, "Down": 0.38, "In": 0.42, "Out": 0.42}
"""Turn of the eyeball at weight 1, for renderers and the runtime's gaze."""


def _recipes() -> dict[str, list[tuple[str, float]]]:
    """Blendshape → [(unit, weight)].

    ``unit:`` is a sculpted expression unit, ``pose:`` a bone pose unit; a trailing ``|L`` or ``|R``
    keeps one half of the face.
    """
    table: dict[str, list[tuple[str, float]]] = {
        "jawForward": [("pose:ChinForward", 1.5)],
        "jawOpen": [("unit:mouth-open", 0.85)],
        "mouthFunnel": [("unit:mouth-protusion", 0.8)],
        "mouthPucker": [("unit:mouth-pursing", 1.0)],
        "mouthRollLower": [("pose:lowerLipBackward", 0.8)],
        "mouthRollUpper": [("pose:UpperLipBackward", 0.6)],
        "mouthShrugLower": [("pose:lowerLipUp", 0.8), ("unit:mouth-eversion", 0.3)],
        "mouthShrugUpper": [("pose:UpperLipUp", 0.9)],
        "browInnerUp": [("unit:eyebrows-left-inner-up", 1.0), ("unit:eyebrows-right-inner-up", 1.0)],
        "cheekPuff": [("pose:CheeksPump", 1.0)],
        "tongueOut": [("pose:TongueOut", 1.0)],
    }
    for side, opposite in (("Left", "Right"), ("Right", "Left")):
        lower, half = side.lower(), f"|{side[0]}"
        table |= {
            f"eyeBlink{side}": [(f"unit:eye-{lower}-closure", 1.0)],
            f"eyeLookDown{side}": [(f"pose:{side}EyeDown", 1.0)],
            f"eyeLookUp{side}": [(f"pose:{side}EyeUp", 1.0)],
            f"eyeLookIn{side}": [(f"pose:{side}Eyeturn{opposite}", 1.0)],
            f"eyeLookOut{side}": [(f"pose:{side}Eyeturn{side}", 1.0)],
            f"eyeSquint{side}": [(f"unit:eye-{lower}-slit", 0.6), (f"pose:{side}LowerLidUp", 0.5)],
            f"eyeWide{side}": [(f"unit:eye-{lower}-opened-up", 1.0)],
            f"jaw{side}": [(f"pose:Chin{side}", 1.5)],
            f"mouth{side}": [(f"pose:MouthMove{side}", 1.0)],
            f"mouthSmile{side}": [(f"unit:mouth-corner-puller{half}", 1.0)],
            f"mouthFrown{side}": [(f"unit:mouth-depression{half}", 1.0)],
            f"mouthDimple{side}": [(f"unit:mouth-retraction{half}", 0.9)],
            f"mouthStretch{side}": [(f"pose:Mouth{side}Platysma", 0.7), (f"unit:mouth-retraction{half}", 0.4)],
            f"mouthPress{side}": [(f"unit:mouth-compression{half}", 0.7)],
            f"mouthLowerDown{side}": [(f"unit:mouth-depression-retraction{half}", 0.9)],
            f"mouthUpperUp{side}": [(f"unit:mouth-elevation{half}", 0.9)],
            f"browDown{side}": [(f"unit:eyebrows-{lower}-down", 1.0)],
            f"browOuterUp{side}": [(f"unit:eyebrows-{lower}-extern-up", 0.8), (f"unit:eyebrows-{lower}-up", 0.4)],
            f"cheekSquint{side}": [(f"pose:{side}CheekUp", 0.8)],
            f"noseSneer{side}": [(f"unit:nose-{lower}-elevation", 1.0), (f"pose:NoseWrinkler{half}", 0.35)],
        }
    return table


def build_expressions(
    data: MakeHumanData, topology: HeadTopology, targets: MorphTargets, anatomy: Anatomy
) -> np.ndarray:
    """Return offsets float32 [52, V, 3] in decimetres, in the order of :data:`ARKIT_NAMES`."""
    poses = read_pose_units(data)
    left = 1 / (1 + np.exp(-topology.rest[:, :1] / SIDE_BLEND))
    shapes: dict[str, np.ndarray] = {}
    for name, recipe in _recipes().items():
        total = np.zeros_like(topology.rest)
        for unit, weight in recipe:
            kind, rest = unit.split(":")
            rest, _, half = rest.partition("|")
            if kind == "unit":
                sculpted = [targets.dense(f"expression/units/{p}/{rest}") for p in ARCHETYPES]
                offsets = np.mean(sculpted, axis=0)
            else:
                offsets = poses[rest][topology.base_ids]
            offsets = offsets * {"": 1.0, "L": left, "R": 1 - left}[half]
            total += weight * offsets
        shapes[name] = total
    shapes = _symmetric(shapes, topology.mirror)
    # The pose unit pushes the tongue straight ahead, through the upper lip: let it hang.
    shapes["tongueOut"][:, 1] -= TONGUE_DROOP * np.clip(shapes["tongueOut"][:, 2], 0, None)
    shapes["mouthClose"] = _closed_lips(topology, anatomy, shapes["jawOpen"])
    return np.stack([shapes[name] for name in ARKIT_NAMES]).astype(np.float32)


def _symmetric(shapes: dict[str, np.ndarray], mirror: np.ndarray) -> dict[str, np.ndarray]:
    """Average each shape with the mirror image of its counterpart: the source's sides differ a little."""

    def counterpart(name: str) -> str:
        if name.endswith("Left"):
            return name[:-4] + "Right"
        return name[:-5] + "Left" if name.endswith("Right") else name

    return {name: (shape + shapes[counterpart(name)][mirror] * [-1, 1, 1]) / 2 for name, shape in shapes.items()}


def _closed_lips(topology: HeadTopology, anatomy: Anatomy, jaw_open: np.ndarray) -> np.ndarray:
    """Offsets that seal the lips at ``jawOpen`` = ``mouthClose`` = 1.

    All of the inner lip margin is carried by one common movement, so that the lips touch exactly as
    they do in the neutral face; the effect fades with distance from the margin.
    """
    rest, loop = topology.rest, np.array(anatomy.mouth_loop)
    lower = loop[rest[loop, 1] < np.median(rest[loop, 1])]
    carried = CLOSED_LIP_DROP * jaw_open[lower].mean(0)
    distance, _ = cKDTree(rest[loop]).query(rest)
    weight = smoothstep(0.34, 0.07, distance)[:, None]
    offsets = weight * (carried - jaw_open)
    for name in ("teeth_upper", "teeth_lower", "tongue"):
        offsets[topology.part_vertices(name)] = 0
    return offsets
