"""Writes regressor.json: what the bundle's regressor and iris reader read in the shipped photos, from inputs of numpy.

Needs the training tools of models/training and the landmarks in faces.json: `python tests/reference/regressor.py`.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from face_nets.photos import PHOTOS, load_photo
from fitdiff.faces.template import load_template
from fitdiff.learning.photo_features import chip_and_places, normalised_landmarks

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models/base"
CELLS = 8
"""Side of the albedo as it is written: means over squares."""
DECIMALS = 5


def session(name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(BUNDLE / f"{name}.onnx", providers=["CPUExecutionProvider"])


def run(network: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [output.name for output in network.get_outputs()]
    return dict(zip(names, network.run(names, inputs), strict=True))


def main() -> None:
    description = json.loads((BUNDLE / "bundle.json").read_text(encoding="utf-8"))["template"]
    template = load_template(BUNDLE / description["file"]["path"], description)
    mean = template.landmarks(template.positions)
    features, regressor, irises = session("recogniser_features"), session("regressor"), session("iris_reader")
    faces = json.loads((ROOT / "tests/reference/faces.json").read_text(encoding="utf-8"))["photos"]
    photos = []
    for photo, face in zip(PHOTOS, faces, strict=True):
        landmarks = np.array(face["second_pass"]["landmarks"])
        pixels = load_photo(ROOT / "assets/selfies" / photo.file).astype(float)
        chip, places = chip_and_places(pixels, landmarks)
        image = (np.rint(np.clip(chip, 0, 255)) / 255).astype(np.float32).transpose(2, 0, 1)[None]
        offsets, rotation = normalised_landmarks(landmarks, mean)
        inputs = run(features, {features.get_inputs()[0].name: image})
        inputs |= {"landmarks": offsets[None], "rotation": rotation[None], "chip": image, "places": places[None]}
        wanted = {given.name for given in regressor.get_inputs()}
        read = run(regressor, {name: np.float32(inputs[name]) for name in wanted})
        iris = run(irises, {name: np.float32(inputs[name]) for name in ("chip", "places")})["iris"][0]
        size = read["diffuse"].shape[-1] // CELLS
        cells = read["diffuse"].reshape(3, CELLS, size, CELLS, size).mean((2, 4))
        photos.append(
            {
                "file": photo.file,
                "shape": np.round(read["shape"][0].astype(float), DECIMALS).tolist(),
                "diffuse": np.round(cells.astype(float), DECIMALS).ravel().tolist(),
                "iris": np.round(iris.astype(float), DECIMALS).tolist(),
            }
        )
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"cells": CELLS, "photos": photos}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
