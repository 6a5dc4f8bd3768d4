"""MakeHuman's face pose units: bone rotations (BVH frames) turned to vertex offsets by linear blend skinning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.errors import SourceDataError
from fitdiff.faces.makehuman import MakeHumanData

Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
"""The BVH file has z up; the mesh has y up."""


@dataclass(frozen=True)
class _Motion:
    names: list[str]
    parents: list[int]
    offsets: np.ndarray
    channels: list[list[str]]
    frames: np.ndarray


def read_pose_units(data: MakeHumanData) -> dict[str, np.ndarray]:
    """Return offsets from rest [19158, 3] in decimetres per pose unit."""
    motion = _read_bvh(data.root / "poseunits/face-poseunits.bvh")
    rig = data.read_json("rigs/default.mhskel")
    weights = data.read_json("rigs/default_weights.mhw")["weights"]
    unit_names = data.read_json("poseunits/face-poseunits.json")["framemapping"]
    if len(unit_names) != len(motion.frames):
        raise SourceDataError(
            f"poseunits: {len(unit_names)} names in face-poseunits.json but {len(motion.frames)} frames in the BVH file"
        )
    vertices = data.base.positions
    heads = {bone: vertices[rig["joints"][rig["bones"][bone]["head"]]].mean(0) for bone in rig["bones"]}
    bone_index = {name: i for i, name in enumerate(motion.names)}
    skinning = np.zeros((len(vertices), len(motion.names)), np.float32)
    for bone, pairs in weights.items():
        for vertex, weight in pairs:
            skinning[vertex, bone_index[bone]] += weight
    total = skinning.sum(1, keepdims=True)
    moved = total[:, 0] > 0
    skinning[moved] /= total[moved]

    def posed(frame: np.ndarray) -> np.ndarray:
        homogeneous = np.c_[vertices, np.ones(len(vertices))]
        out = np.zeros_like(vertices)
        for i, matrix in enumerate(_bone_matrices(motion, heads, frame)):
            if skinning[:, i].any():
                out += skinning[:, i : i + 1] * (homogeneous @ matrix.T)
        return out

    rest = posed(motion.frames[0])
    return {
        name: np.where(moved[:, None], posed(motion.frames[i]) - rest, 0) for i, name in enumerate(unit_names) if i > 0
    }


def _read_bvh(path: Path) -> _Motion:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    stack: list[int] = []
    lines = path.read_text().splitlines()
    motion = next((i for i, line in enumerate(lines) if line.strip() == "MOTION"), len(lines))
    try:
        for line in lines[:motion]:
            words = line.split()
            if not words:
                continue
            if words[0] in ("ROOT", "JOINT"):
                names.append(words[1])
                parents.append(stack[-1] if stack else -1)
                stack.append(len(names) - 1)
                offsets.append([0.0, 0.0, 0.0])
                channels.append([])
            elif words[0] == "End":
                stack.append(-1)
            elif words[0] == "OFFSET" and stack[-1] >= 0:
                offsets[stack[-1]] = [float(word) for word in words[1:]]
            elif words[0] == "CHANNELS":
                channels[stack[-1]] = words[2:]
            elif words[0] == "}":
                stack.pop()
        frames = np.array([[float(word) for word in line.split()] for line in lines[motion + 3 :] if line.strip()])
    except (ValueError, IndexError) as error:
        raise SourceDataError(f"{path} is corrupt: {error}") from None
    if frames.ndim != 2 or frames.shape[1] != sum(map(len, channels)):
        raise SourceDataError(f"{path} is corrupt: the frames do not match the channels")
    return _Motion(names, parents, np.array(offsets) @ Z_UP_TO_Y_UP.T, channels, frames)


def _axis_rotation(degrees: float, axis: str) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def _bone_matrices(motion: _Motion, heads: dict[str, np.ndarray], frame: np.ndarray) -> list[np.ndarray]:
    """Skinning matrices [3, 4] of one frame: global pose × inverse rest pose."""
    poses: list[np.ndarray] = []
    matrices, column = [], 0
    for i, name in enumerate(motion.names):
        turn = np.eye(3)
        for channel in motion.channels[i]:
            if channel.endswith("rotation"):
                turn = turn @ _axis_rotation(frame[column], channel[0])
            column += 1
        parent = motion.parents[i]
        local = np.eye(4)
        local[:3, :3] = Z_UP_TO_Y_UP @ turn @ Z_UP_TO_Y_UP.T
        local[:3, 3] = motion.offsets[i]
        if name in heads:
            local[:3, 3] = heads[name] - (heads[motion.names[parent]] if parent >= 0 else 0)
        pose = poses[parent] @ local if parent >= 0 else local
        poses.append(pose)
        matrix = pose[:3].copy()
        if name in heads:
            matrix[:, 3] -= matrix[:, :3] @ heads[name]
        matrices.append(matrix)
    return matrices
