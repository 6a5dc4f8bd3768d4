"""BlazeFace: photo -> face boxes with six keypoints.

The photo is letterboxed into the network's square, the network says for each anchor how likely a face is there and
where, and overlapping answers are averaged. Source of the numbers: MediaPipe's face detection graphs (options of the
SSD anchors, tensors-to-detections and non-maximum-suppression calculators).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .session import open_session
from .warp import network_input, sigmoid, warp

MIN_SCORE = 0.5
"""Answers below are dropped."""

OVERLAP = 0.3
"""Boxes whose intersection over union is above are one face."""

LOGIT_LIMIT = 100.0
"""Score logits are clipped to this range before the sigmoid."""

KEYPOINTS = 6
"""Right eye, left eye (the person's), nose tip, mouth centre, right ear, left ear."""

BOX_VALUES = 4
"""Regressed values of an anchor before its keypoints: centre x, centre y, width, height."""


@dataclass(frozen=True)
class DetectorModel:
    """What differs between the two detectors. `grids` lists (cells per side, anchors per cell) in output order."""

    file: str
    input_size: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> np.ndarray:
        """Anchor centres, x and y in 0..1 of the square, [anchors, 2]. All anchors have size 1."""
        centres = [np.repeat(_cell_centres(cells), anchors_per_cell, axis=0) for cells, anchors_per_cell in self.grids]
        return np.concatenate(centres)


def _cell_centres(cells: int) -> np.ndarray:
    """Centres of a square grid's cells, row by row, [cells * cells, 2]."""
    axis = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], 1)


SHORT_RANGE = DetectorModel("blazeface_short.onnx", 128, ((16, 2), (8, 6)))
"""For a face that fills much of the photo: 896 anchors."""

FULL_RANGE = DetectorModel("blazeface_full.onnx", 192, ((48, 1),))
"""For smaller faces too: 2304 anchors."""


@dataclass(frozen=True)
class Detection:
    """A face. `box` is [left, top, right, bottom], `keypoints` is [6, 2] (x, y), both in photo pixels."""

    score: float
    box: np.ndarray
    keypoints: np.ndarray


@dataclass(frozen=True)
class Letterbox:
    """The centred square around a photo that the detector sees: its left top corner and side in photo pixels."""

    corner: np.ndarray
    side: float

    @staticmethod
    def around(photo: np.ndarray) -> "Letterbox":
        """The square whose side is the photo's longer one."""
        height, width = photo.shape[:2]
        side = max(height, width)
        return Letterbox(np.array([(width - side) / 2, (height - side) / 2]), side)

    def crop(self, photo: np.ndarray, size: int) -> np.ndarray:
        """The square as [size, size, 3], 0 outside of the photo.

        Output pixel i is photo pixel `corner + i * side / size`, bilinear and without smoothing beforehand: a
        large photo is sampled sparsely, which the detector tolerates.
        """
        step = self.side / size
        transform = np.array([[step, 0, self.corner[0]], [0, step, self.corner[1]]])
        return warp(photo, transform, size, size, replicate=False)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in 0..1 of the square as photo pixels."""
        return points * self.side + self.corner


class FaceDetector:
    """A BlazeFace network and its anchors."""

    def __init__(self, bundle: Path, model: DetectorModel) -> None:
        self.model = model
        self.anchors = model.anchors()
        self.session = open_session(bundle / model.file)
        # Told apart by their last axis: the files name them differently.
        names = {output.shape[-1]: output.name for output in self.session.get_outputs()}
        self.outputs = [names[BOX_VALUES + 2 * KEYPOINTS], names[1]]

    def detect(self, photo: np.ndarray) -> list[Detection]:
        """Faces in an upright RGB photo [height, width, 3] in 0..255, most certain first."""
        letterbox = Letterbox.around(photo)
        crop = letterbox.crop(photo, self.model.input_size)
        regressors, logits = self.session.run(
            self.outputs, {self.session.get_inputs()[0].name: network_input(crop / 127.5 - 1)}
        )
        boxes, keypoints, scores = decode(
            regressors[0].astype(np.float64),
            logits[0, :, 0].astype(np.float64),
            self.anchors,
            self.model.input_size,
        )
        return [
            Detection(
                face.score,
                letterbox.to_photo(face.box.reshape(2, 2)).ravel(),
                letterbox.to_photo(face.keypoints),
            )
            for face in weighted_suppression(boxes, keypoints, scores)
        ]


def decode(
    regressors: np.ndarray, logits: np.ndarray, anchors: np.ndarray, input_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Network outputs -> boxes [n, 4], keypoints [n, 6, 2] in 0..1 of the square, scores [n], of likely faces only.

    `regressors` [anchors, 16] are in input pixels; centre and keypoints are relative to the anchor's centre.
    """
    scores = sigmoid(logits, LOGIT_LIMIT)
    likely = scores >= MIN_SCORE
    values, anchors = regressors[likely] / input_size, anchors[likely]
    centre, size = values[:, 0:2] + anchors, values[:, 2:4]
    boxes = np.concatenate([centre - size / 2, centre + size / 2], 1)
    keypoints = values[:, BOX_VALUES:].reshape(-1, KEYPOINTS, 2) + anchors[:, None]
    return boxes, keypoints, scores[likely]


def weighted_suppression(boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> list[Detection]:
    """Joins overlapping boxes: the most certain one and all that overlap it become their mean, weighted by score.

    The joined face keeps the best score. Coordinates stay in the unit of `boxes` and `keypoints`.
    """
    faces = []
    remaining = np.argsort(-scores, kind="stable")
    while remaining.size:
        best = remaining[0]
        same = intersection_over_union(boxes[best], boxes[remaining]) > OVERLAP
        same[0] = True
        group = remaining[same]
        weights = scores[group] / scores[group].sum()
        faces.append(
            Detection(
                float(scores[best]),
                (boxes[group] * weights[:, None]).sum(0),
                (keypoints[group] * weights[:, None, None]).sum(0),
            )
        )
        remaining = remaining[~same]
    return faces


def intersection_over_union(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Overlap of `box` [4] with each of `others` [n, 4], in 0..1."""
    shared = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    intersection = shared.prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return intersection / ((box[2:] - box[:2]).prod() + areas - intersection)
