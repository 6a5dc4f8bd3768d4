"""What the tests of synthetic faces share: the MakeHuman folder, the head model, a small shape basis."""

import os
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the face generator needs numba: pip install 'fitdiff-training[faces]'")

from fitdiff.faces.makehuman import ENVIRONMENT_VARIABLE

SOURCE = os.environ.get(ENVIRONMENT_VARIABLE)
BUNDLE = Path(__file__).parents[2] / "base"

needs_source = pytest.mark.skipif(
    not SOURCE, reason=f"{ENVIRONMENT_VARIABLE} does not name a MakeHuman data folder (python -m fitdiff faces fetch)"
)


@cache
def head_model():
    """The head model of the source data."""
    from fitdiff.faces.head_model import load_head_model

    return load_head_model(Path(SOURCE))


@cache
def generator(map_size=256):
    """A face generator."""
    from fitdiff.faces.generator import FaceGenerator

    return FaceGenerator(head_model(), map_size)


@cache
def small_basis():
    """A shape basis of few components from few people: quick, and good enough for exact identities."""
    from fitdiff.faces.shape_basis import build_shape_basis

    return build_shape_basis(head_model(), population=60, components=40)
