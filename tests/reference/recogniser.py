"""Writes recogniser.json: how the losses of a chip change along some directions, in double precision.

There, unlike in single precision, a step can be so short that it crosses no kink of the network. Needs the training
tools of models/training: `python tests/reference/recogniser.py`.
"""

import json
from pathlib import Path

import numpy as np
import torch

from fitdiff.learning.recogniser import Recogniser

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models/base"
STEP = 1e-8
WAVE_NUMBERS = (11.0, 23.0, 37.0, 53.0)


def picture(side: int, salt: float) -> np.ndarray:
    """A chip float64 [1, 3, side, side]: smooth, with a little grain, since pooling would tie where it is flat."""
    c, y, x = np.meshgrid(np.arange(3.0), np.arange(side) / side, np.arange(side) / side, indexing="ij")
    pixel = np.rint(side * (side * y + x))
    smooth = np.sin(5 * x + 2 * c + salt) * np.cos(4 * y - salt)
    return (0.5 + 0.3 * smooth + 0.05 * ((7919 * pixel + 389 * c) % 1009 / 1009 - 0.5))[None]


def direction(side: int, wave_number: float) -> np.ndarray:
    """A wave of so many radians across the chip, float64 [1, 3, side, side]."""
    c, y, x = np.meshgrid(np.arange(3.0), np.arange(side) / side, np.arange(side) / side, indexing="ij")
    return np.sin(wave_number * (x + 0.7 * y) + c)[None]


def main() -> None:
    manifest = json.loads((BUNDLE / "bundle.json").read_text(encoding="utf-8"))
    names = (manifest["face"]["identity"]["embedding"], *manifest["generator"]["perceptual_layers"])
    network = Recogniser(BUNDLE / manifest["networks"]["recogniser"]["file"]["path"])
    network._apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    side = manifest["networks"]["recogniser"]["inputs"][0]["shape"][-1]
    wanted = network(torch.from_numpy(picture(side, 3.1)), names)

    def losses(chip: np.ndarray) -> np.ndarray:
        """The squared distance of the embeddings, and the mean relative one of inner activations: float64 [2]."""
        found = network(torch.from_numpy(chip), names)
        layers = [(a - b).square().mean() / b.square().mean() for a, b in zip(found[1:], wanted[1:], strict=True)]
        return np.array([float((found[0] - wanted[0]).square().sum()), float(sum(layers)) / len(layers)])

    chip = picture(side, 1.0)
    directions = []
    for wave_number in WAVE_NUMBERS:
        step = STEP * direction(side, wave_number)
        slopes = (losses(chip + step) - losses(chip - step)) / (2 * STEP)
        directions.append({"wave_number": wave_number, "slopes": slopes.tolist()})
    reference = {"losses": losses(chip).tolist(), "directions": directions}
    (ROOT / "tests/reference/recogniser.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
