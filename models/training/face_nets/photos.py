"""The two photos of real people that the project tests with. Both are in the public domain."""

from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .checksums import ChecksumError, verify


@dataclass(frozen=True)
class Photo:
    """A photo that ships inside of an installed Python package (see the `dev` extra in pyproject.toml)."""

    file: str
    distribution: str
    version: str
    package: str
    member: str
    sha256: str


PHOTOS = (
    Photo(
        file="astronaut.png",
        distribution="scikit-image",
        version="0.26.0",
        package="skimage",
        member="data/astronaut.png",
        sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    Photo(
        file="grace_hopper.jpg",
        distribution="matplotlib",
        version="3.11.2",
        package="matplotlib",
        member="mpl-data/sample_data/grace_hopper.jpg",
        sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
)
"""Eileen Collins (NASA) and Grace Hopper (United States Navy)."""


def read_packaged(photo: Photo) -> bytes:
    """The photo's file out of its installed package.

    Raises `ChecksumError` if the package is missing or carries another file.
    """
    pinned = f"{photo.distribution}=={photo.version}"
    try:
        found = metadata.version(photo.distribution)
        data = resources.files(photo.package).joinpath(photo.member).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise ChecksumError(f"{photo.file}: not found ({error}). Install {pinned}.") from error
    advice = f"{photo.distribution} {found} is installed; the pinned version is {photo.version}."
    verify(photo.file, data, photo.sha256, advice)
    return data


def extract_photos(out: Path) -> list[Path]:
    """Writes the original files into `out` and returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for photo in PHOTOS:
        path = out / photo.file
        path.write_bytes(read_packaged(photo))
        written.append(path)
    return written


def load_photo(path: Path) -> np.ndarray:
    """An image file as upright RGB, uint8 [height, width, 3]; its EXIF orientation is applied."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
