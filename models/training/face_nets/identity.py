"""Face recognition: chip -> 128-D descriptor."""

from pathlib import Path

import numpy as np

from .session import open_session
from .warp import network_input

FILE = "recogniser.onnx"


class Recogniser:
    """dlib's recognition network."""

    def __init__(self, bundle: Path) -> None:
        self.session = open_session(bundle / FILE)

    def describe(self, chip: np.ndarray) -> np.ndarray:
        """Descriptor float32 [128] of a chip [150, 150, 3] in 0..255.

        Descriptors are not of unit length. Two photos of one person are usually less than 0.6 apart (Euclidean).
        """
        return self.session.run(["descriptor"], {"image": network_input(chip / 255)})[0][0]
