"""Random numbers: one integer seed per person, one independent stream per concern.

Splitting by concern means that a change to, say, the hair sampler leaves every face's shape as it
was. Philox is counter-based: its integer output is the same on every machine; numpy turns integers
into normals and betas with plain arithmetic (numpy's version is pinned, as it may change those
methods between releases).
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, concern: str, index: int = 0) -> np.random.Generator:
    """Return the generator for one concern of one person.

    Args:
        seed: the person's identity seed, >= 0.
        concern: name of the part that draws ("shape", "skin", "scene" …).
        index: number of the view, for concerns that are drawn once per view.
    """
    text = f"{seed}/{concern}/{index}".encode()
    digest = hashlib.blake2b(text, digest_size=16, person=b"fitdiff-faces").digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def noise_seed(seed: int, concern: str) -> int:
    """Return an integer in [0, 100 000) for the lattice hash of the procedural noise."""
    return int(stream(seed, concern).integers(100_000))
