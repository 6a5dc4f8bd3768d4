"""Face mesh: photo and region -> 478 landmarks and a presence score.

The network wants an upright face that fills two thirds of its square. The first region comes from a detection; a second
pass on the region of the first pass's own landmarks is more exact and copes with a tilted head. Source of the regions:
MediaPipe's face landmark graphs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .detector import Detection
from .landmark_merge import MESH_POINTS
from .session import open_session
from .warp import network_input, sigmoid, warp

FILE = "face_mesh_478.onnx"
INPUT_SIZE = 192

REGION_SCALE = 1.5
"""Side of the region relative to the face's longer side."""

EYE_KEYPOINTS = (0, 1)
"""The detection's keypoints that are level in an upright face: the person's right eye, then the left one."""

EYE_LANDMARKS = (33, 263)
"""The landmarks that are level in an upright face: outer corners of the right and left eye."""


@dataclass(frozen=True)
class Region:
    """A turned square in the photo: centre [2] and side in photo pixels, angle in radians.

    The angle is from the photo's x axis to the square's, positive towards y, which is clockwise as one looks at it.
    """

    centre: np.ndarray
    side: float
    angle: float

    def rotation(self) -> np.ndarray:
        """[2, 2] matrix from the square's axes to the photo's."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]])

    def transform(self, size: int) -> np.ndarray:
        """[2, 3] map from the pixels of a size x size crop to photo pixels; crop pixel size/2 is the centre."""
        linear = self.rotation() * (self.side / size)
        return np.column_stack([linear, self.centre - linear @ np.full(2, size / 2)])


def _region(corners: np.ndarray, level: np.ndarray) -> Region:
    """Around a box given by its corners [2, 2], turned by the line between two points [2, 2]."""
    low, high = corners
    dx, dy = level[1] - level[0]
    return Region((low + high) / 2, float(max(high - low)) * REGION_SCALE, float(np.arctan2(dy, dx)))


def region_of_detection(detection: Detection) -> Region:
    """First region: around the detector's box."""
    return _region(detection.box.reshape(2, 2), detection.keypoints[list(EYE_KEYPOINTS)])


def region_of_landmarks(points: np.ndarray) -> Region:
    """Second region: around the upright bounding box of the 468 mesh landmarks of an earlier pass."""
    mesh = points[:MESH_POINTS, :2]
    return _region(np.stack([mesh.min(0), mesh.max(0)]), points[list(EYE_LANDMARKS), :2])


@dataclass(frozen=True)
class Face:
    """`points` [478, 3]: x, y in photo pixels, z in the same unit and smaller towards the camera.

    `presence` in 0..1; high even for some false detections, so that it is no proof of a face.
    """

    points: np.ndarray
    presence: float


class FaceMesh:
    """The landmark network."""

    def __init__(self, bundle: Path) -> None:
        self.session = open_session(bundle / FILE)

    def locate(self, photo: np.ndarray, region: Region) -> Face:
        """Landmarks of the face in `region` of an upright RGB photo [height, width, 3] in 0..255.

        The crop is bilinear without smoothing beforehand and repeats the photo's border; its range is 0..1.
        """
        crop = warp(photo, region.transform(INPUT_SIZE), INPUT_SIZE, INPUT_SIZE, replicate=True)
        landmarks, logit = self.session.run(
            ["landmarks", "face_flag_logit"],
            {self.session.get_inputs()[0].name: network_input(crop / 255)},
        )
        return Face(to_photo(landmarks[0].astype(np.float64), region), float(sigmoid(logit[0, 0])))


def to_photo(landmarks: np.ndarray, region: Region) -> np.ndarray:
    """Landmarks [n, 3] in crop pixels as photo pixels."""
    offsets = (landmarks[:, :2] / INPUT_SIZE - 0.5) * region.side
    xy = offsets @ region.rotation().T + region.centre
    return np.column_stack([xy, landmarks[:, 2] / INPUT_SIZE * region.side])
