"""Runs the face front-end on the test photos; the JSON results are what other implementations are tested against."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .build import NETWORKS
from .checksums import sha256
from .chip import chip_similarity, extract_chip, pixel_transform
from .detector import FULL_RANGE, SHORT_RANGE, Detection, FaceDetector
from .identity import Recogniser
from .landmarks import Face, FaceMesh, Region, region_of_detection, region_of_landmarks
from .photos import PHOTOS, load_photo

DECIMALS = 6
"""Numbers are rounded to this many decimals."""

ABOUT = (
    "Results of the numpy reference of the face front-end. Positions are photo pixel indices, (0, 0) the centre of the "
    "top left pixel; angles are radians; transforms are 2x3 matrices into photo pixels. Written by "
    "`python -m face_nets reference`."
)

VERSIONED = ("numpy", "onnxruntime", "pillow")
"""Distributions whose versions are recorded."""


class FrontEnd:
    """All four networks of a bundle."""

    def __init__(self, bundle: Path) -> None:
        self.short_range = FaceDetector(bundle, SHORT_RANGE)
        self.full_range = FaceDetector(bundle, FULL_RANGE)
        self.mesh = FaceMesh(bundle)
        self.recogniser = Recogniser(bundle)

    def describe(self, photo: np.ndarray) -> dict[str, Any]:
        """Everything about the most certain face of an upright RGB photo, as plain lists and numbers.

        Short-range detection -> region -> landmarks -> region -> landmarks -> chip -> descriptor. The full-range
        detection is reported beside it. Raises `ValueError` if a detector finds no face.
        """
        detection = _best(self.short_range.detect(photo), "short-range")
        full_range = _best(self.full_range.detect(photo), "full-range")
        first_region = region_of_detection(detection)
        first = self.mesh.locate(photo, first_region)
        second_region = region_of_landmarks(first.points)
        second = self.mesh.locate(photo, second_region)
        similarity = chip_similarity(second.points)
        descriptor = self.recogniser.describe(extract_chip(photo, similarity))
        return {
            "detection": _detection(detection),
            "full_range_detection": _detection(full_range),
            "first_pass": _pass(first_region, first),
            "second_pass": _pass(second_region, second),
            "chip": {
                "similarity": _rounded(similarity),
                "pixel_transform": _rounded(pixel_transform(similarity)),
            },
            "descriptor": _rounded(descriptor),
        }


def reference(bundle: Path, photos: Path) -> dict[str, Any]:
    """Results for every test photo in the folder `photos`, with the versions and files that they come from."""
    front_end = FrontEnd(bundle)
    return {
        "about": ABOUT,
        "versions": {name: metadata.version(name) for name in VERSIONED},
        "networks": {network.file: sha256((bundle / network.file).read_bytes()) for network in NETWORKS},
        "photos": [_photo(front_end, photos / photo.file) for photo in PHOTOS],
    }


def write_lossless(photos: Path, out: Path) -> list[Path]:
    """Writes the decoded pixels of every JPEG photo as PNG into `out` and returns the paths.

    JPEG decoders differ by a level or two, which moves landmarks by a tenth of a pixel. Other implementations are
    compared on these pixels.
    """
    written = []
    for photo in PHOTOS:
        if Path(photo.file).suffix == ".jpg":
            path = (out / photo.file).with_suffix(".png")
            Image.fromarray(load_photo(photos / photo.file)).save(path, optimize=True)
            written.append(path)
    return written


def _photo(front_end: FrontEnd, path: Path) -> dict[str, Any]:
    pixels = load_photo(path)
    height, width = pixels.shape[:2]
    return {
        "file": path.name,
        "sha256": sha256(path.read_bytes()),
        "width": width,
        "height": height,
        **front_end.describe(pixels),
    }


def _best(detections: list[Detection], detector: str) -> Detection:
    if not detections:
        raise ValueError(f"the {detector} detector found no face")
    return detections[0]


def _detection(detection: Detection) -> dict[str, Any]:
    return {
        "score": _rounded(detection.score),
        "box": _rounded(detection.box),
        "keypoints": _rounded(detection.keypoints),
    }


def _pass(region: Region, face: Face) -> dict[str, Any]:
    return {
        "region": {
            "centre": _rounded(region.centre),
            "side": _rounded(region.side),
            "angle": _rounded(region.angle),
        },
        "presence": _rounded(face.presence),
        "landmarks": _rounded(face.points),
    }


def _rounded(values: np.ndarray | float) -> Any:
    return np.round(np.asarray(values, np.float64), DECIMALS).tolist()


def to_json(value: Any) -> str:
    """JSON text with one line per number array, however deep it is nested, and per other leaf."""
    return "".join(_json_parts(value, "")) + "\n"


def _json_parts(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        entries = [(json.dumps(key) + ": ", child) for key, child in value.items()]
        brackets = "{}"
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        entries = [("", child) for child in value]
        brackets = "[]"
    else:
        yield json.dumps(value, separators=(",", ":"))
        return
    inner = indent + " "
    yield brackets[0]
    for number, (label, child) in enumerate(entries):
        yield f"{',' if number else ''}\n{inner}{label}"
        yield from _json_parts(child, inner)
    yield f"\n{indent}{brackets[1]}"
