"""Photographed people that no training set contains, for the runtime's evaluation of fitting.

Everything is stored such that a program needs no more than a JSON and a PNG reader. The folder::

    manifest.json           what follows, and one entry per person under "people"
    masks.png               256², red chart, green skin, blue face, as in the template head
    face_vertices.bin       u8 [N]: 1 for the vertices that the figures of shape count, else 0
    000.png                 selfie, sRGB 8 bit
    000_other.png           the same person at rest, turned 10 to 20 degrees to the other side, in another light
    000_vertices.bin        f32 [N, 3], little-endian: the true head at rest, metres
    000_diffuse.png         256², true diffuse albedo, sRGB 8 bit, in the template's texture layout
    001.png …

Vertices are in the order and frame of the bundle's template head, all parts. Like the heads that the bundle decodes
they are of the head after the similarity transform (least squares over the face's vertices) that brings its face
nearest to the template's mean: true place and size, which no photo shows, are taken out, and what the basis does not
span is kept. Figures that align heads themselves are not affected. Texels outside of the chart mean nothing.

An entry of "people" holds the files' names, the identity `seed`, `ita` in degrees (cheeks, true albedo) and its class
`ita_bin`, `age` in years, `male` 0…1 and `gender`, `beard` and `makeup` 0…1, the linear RGB of the `iris` [3], and for
both photos, under "selfie" and "other":

- `yaw`, `pitch`, `roll`: the head's turn in degrees; positive turns the nose to the picture's right, down, and tilts
  anticlockwise;
- `rotation` [3][3] row by row and `translation` [3] in metres from the template's frame to the camera's (Y up, looking
  down -Z), `focal` in pixels: ``(x, y, z) = rotation @ vertex + translation`` falls on the pixel position
  ``(centre + focal * x / -z, centre - focal * y / -z)`` with ``centre = size / 2``; the first pixel spans 0 to 1;
- `expression`: weights of the blendshapes that are not 0, which act on the head at rest;
- `face_height`: from the highest to the lowest landmark, pixels.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from face_nets.detector import SHORT_RANGE, FaceDetector
from fitdiff.errors import DatasetError
from fitdiff.faces.dataset import SEED_RANGES, srgb_encode
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.generator import FaceGenerator, Person, Photo
from fitdiff.faces.head_model import load_head_model, store_atomically
from fitdiff.faces.identity import TONE_BINS
from fitdiff.faces.landmarks import SKIN_LANDMARKS
from fitdiff.faces.masks import head_masks, masks_png
from fitdiff.faces.parallel import Progress, run_tasks
from fitdiff.faces.renderer import Camera
from fitdiff.faces.selfie import View, sample_gaze
from fitdiff.faces.shape_basis import load_shape_basis
from fitdiff.faces.streams import stream
from fitdiff.faces.template import METRES, Template, load_template
from fitdiff.faces.template_mesh import build_parts, join_vertices
from fitdiff.learning.metrics import ITA_BINS
from fitdiff.learning.sources import TemplateShape

FORMAT = 2
MANIFEST = "manifest.json"
MAP_SIZE = 256
"""Side of the stored albedo and masks: the maps of the bundle."""
PAINTED_SIZE = 512
"""Side of the maps that the photos show: a face of 300 pixels resolves more than the stored ones."""

CANDIDATES = 256
"""Identity seeds that each person is looked for in."""
ATTEMPTS = 60
"""Views that are tried until one meets the conditions below."""
HALF_EXTENT = (1.42, 1.75)
"""Half height of the pictured scene at the head, decimetres; wider ones show where the bust ends."""
FACE_HEIGHT = (250 / 512, 350 / 512)
"""Share of the picture's height from the highest to the lowest landmark."""
LARGEST_YAW = 30.0
"""Degrees; training photos turn further than selfies do."""
OTHER_YAW = (10.0, 20.0)
"""Degrees that the head is turned in the other photo."""
MEAN_TOLERANCE = 1e-5
"""Metres that the bundle's mean head may differ from the generator's."""


@dataclass(frozen=True)
class HeldOutSpec:
    """What a held-out set holds; equal specifications give equal files, whatever the number of people.

    Attributes:
        seed: number of the set.
        size: side of the photos in pixels.
    """

    seed: int = 0
    size: int = 512

    def candidates(self, index: int) -> Iterator[int]:
        """Identity seeds for one person: no training or validation seeds, and no other person's of the set."""
        seeds = SEED_RANGES["test"]
        first = int(stream(self.seed, "held-out people").integers(len(seeds))) + CANDIDATES * index
        return (seeds[(first + offset) % len(seeds)] for offset in range(CANDIDATES))


LARGEST_COUNT = len(SEED_RANGES["test"]) // CANDIDATES


class HeldOutWriter:
    """Finds the people of a set and writes their files."""

    def __init__(self, root: Path, bundle: Path, spec: HeldOutSpec):
        """Open the source folder and the bundle.

        Raises:
            DatasetError: the bundle's template head is not this generator's.
        """
        model = load_head_model(root)
        self.spec = spec
        self.generator = FaceGenerator(model, PAINTED_SIZE)
        self.detector = FaceDetector(bundle, SHORT_RANGE)
        self.basis = load_shape_basis(model)
        self.parts = build_parts(model, self.basis.mean)
        mean, expected = join_vertices(self.parts, self.basis.mean) * METRES, bundle_template(bundle)[0].positions
        if mean.shape != expected.shape or np.abs(mean - expected).max() > MEAN_TOLERANCE:
            raise DatasetError(f"{bundle}: its template head is not the one of this generator; export the bundle again")

    def write(self, folder: Path, index: int) -> dict[str, Any]:
        """Write the files of one person; return the manifest's entry.

        Raises:
            DatasetError: the folder cannot be written.
        """
        person = self.find_person(index)
        aligned = self.basis.align(person.vertices)
        vertices = join_vertices(self.parts, aligned) * METRES
        first, selfie, points = self.selfie(person)
        second, other, other_points = self.other(person, first)
        name = f"{index:03}"
        contents = {
            "image": _png(selfie.image),
            "other_image": _png(other.image),
            "vertices": vertices.astype("<f4").tobytes(),
            "diffuse": _png(stored_albedo(person.maps.diffuse)),
        }
        files = file_names(name)
        for role, content in contents.items():
            _store(folder / files[role], content)
        return {
            "id": name,
            "files": files,
            **self._attributes(person),
            "selfie": self._describe(first, selfie, points, person, aligned),
            "other": self._describe(second, other, other_points, person, aligned),
        }

    def find_person(self, index: int) -> Person:
        """The person with this number; the classes of skin tone take turns, so that they are equally frequent."""
        wanted = index % len(ITA_BINS)
        _, low, high = ITA_BINS[wanted]
        wanted_low, wanted_high = TONE_BINS[wanted]
        for seed in self.spec.candidates(index):
            # Painting changes the tone a little, and costs much more than to draw it.
            if not wanted_low <= self.generator.geometry.sampler.traits(seed).tone < wanted_high:
                continue
            person = self.generator.person(seed)
            if low <= self.generator.skin_tone(person) < high:
                return person
        raise DatasetError(f"person {index}: none of {CANDIDATES} candidates has a tone of {low} to {high} degrees")

    def selfie(self, person: Person) -> tuple[View, Photo, np.ndarray]:
        """View, photo and landmarks [478, 2] of the photo to fit."""
        return self._first_good(person, partial(self._selfie_view, person), 0)

    def other(self, person: Person, first: View) -> tuple[View, Photo, np.ndarray]:
        """View, photo and landmarks [478, 2] of the photo that shows the person at rest from another side."""
        return self._first_good(person, partial(self._other_view, person, first), ATTEMPTS)

    def _selfie_view(self, person: Person, index: int) -> View:
        view = self.generator.random_view(person, index, self.spec.size, self.spec.seed)
        half_extent = stream(person.seed, "held-out distance", index).uniform(*HALF_EXTENT)
        return replace(view, camera=replace(view.camera, half_extent=float(half_extent)))

    def _other_view(self, person: Person, first: View, index: int) -> View:
        view = self._selfie_view(person, index)
        rng = stream(person.seed, "held-out turn", index)
        yaw = float(np.copysign(rng.uniform(*OTHER_YAW), -first.camera.yaw))
        camera = replace(view.camera, yaw=yaw)
        look = replace(view.look, gaze=sample_gaze(rng, camera), hair_length=first.look.hair_length)
        return replace(view, camera=camera, look=look, expression=np.zeros_like(view.expression))

    def _first_good(
        self, person: Person, make_view: Callable[[int], View], start: int
    ) -> tuple[View, Photo, np.ndarray]:
        size = self.spec.size
        for index in range(start, start + ATTEMPTS):
            view = make_view(index)
            if abs(view.camera.yaw) > LARGEST_YAW:
                continue
            photo = self.generator.photo(person, view, index, size)
            points = self.generator.landmarks(person, view, photo, size)
            if self._shows_face(photo.image, points):
                return view, photo, points
        raise DatasetError(f"person {person.seed}: none of {ATTEMPTS} photos shows a face that the detector finds")

    def _shows_face(self, image: np.ndarray, points: np.ndarray) -> bool:
        """Whether the face lies inside of the picture, has the wanted size, and is what the detector finds."""
        size = self.spec.size
        low, high = FACE_HEIGHT
        if not (low * size <= face_height(points) <= high * size and points.min() >= 0 and points.max() <= size):
            return False
        found = self.detector.detect(image)
        if not found:
            return False
        left, top, right, bottom = found[0].box
        x, y = points[:SKIN_LANDMARKS].mean(0)
        return bool(left < x < right and top < y < bottom)

    def _attributes(self, person: Person) -> dict[str, Any]:
        tone = self.generator.skin_tone(person)
        return {
            "seed": person.seed,
            "ita": round(tone, 2),
            "ita_bin": next(name for name, low, high in ITA_BINS if low <= tone < high),
            "age": round(person.traits.years, 1),
            "gender": "male" if person.traits.male >= 0.5 else "female",
            "male": round(person.traits.male, 3),
            "beard": round(person.appearance.beard, 3),
            "makeup": round(person.appearance.makeup, 3),
            "iris": [round(value, 5) for value in person.appearance.iris],
        }

    def _describe(
        self, view: View, photo: Photo, points: np.ndarray, person: Person, aligned: np.ndarray
    ) -> dict[str, Any]:
        camera = view.camera
        rotation, translation = template_pose(camera, photo.pivot, person.vertices, aligned)
        return {
            "yaw": round(camera.yaw, 3),
            "pitch": round(camera.pitch, 3),
            "roll": round(camera.roll, 3),
            "rotation": np.round(rotation, 7).tolist(),
            "translation": np.round(translation * METRES, 7).tolist(),
            "focal": round(self.spec.size / 2 / float(np.tan(np.radians(camera.field_of_view / 2))), 4),
            "face_height": round(face_height(points), 1),
            "expression": {
                name: round(float(weight), 5)
                for name, weight in zip(ARKIT_NAMES, view.expression, strict=True)
                if weight
            },
        }


def write_heldout(
    root: Path, bundle: Path, folder: Path, spec: HeldOutSpec, count: int, processes: int = 0, quiet: bool = False
) -> None:
    """Write a held-out set, or what is missing of it; the manifest always lists the people that are complete.

    Args:
        root: MakeHuman source folder.
        bundle: folder of the bundle, for its template head and its face detector.
        folder: folder of the set; an existing one must have the same specification.
        count: number of people; more people than before are added to those that exist.
        processes: number of worker processes, 0 for one per core.
        quiet: no progress bar.

    Raises:
        DatasetError: the folder holds another set, or a file cannot be written.
    """
    model = load_head_model(root)
    load_shape_basis(model)  # Kept on disk, so that not every worker computes it.
    template, digest = bundle_template(bundle)
    header = {
        "format": FORMAT,
        **asdict(spec),
        "map_size": MAP_SIZE,
        "template_sha256": digest,
        "vertices": len(template.positions),
        "masks": "masks.png",
        "face_vertices": "face_vertices.bin",
        "ita_bins": [{"name": name, "low": low, "high": high} for name, low, high in ITA_BINS],
    }
    people = {entry["id"]: entry for entry in _existing(folder, header)}
    masks = head_masks(model, MAP_SIZE)
    _store(folder / header["masks"], masks_png(masks))
    _store(folder / header["face_vertices"], face_vertices(template, masks["face"]).tobytes())
    missing = [(folder, index) for index in range(count) if f"{index:03}" not in people]
    progress = Progress(len(people) + len(missing), len(people), "people", quiet=quiet)
    for entry in run_tasks(partial(HeldOutWriter, root, bundle, spec), HeldOutWriter.write, missing, processes):
        people[entry["id"]] = entry
        manifest = header | {"people": [people[name] for name in sorted(people, key=int)]}
        _store(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
        progress.advance()
    progress.finish()


def file_names(name: str) -> dict[str, str]:
    """A person's files by what they hold."""
    return {
        "image": f"{name}.png",
        "other_image": f"{name}_other.png",
        "vertices": f"{name}_vertices.bin",
        "diffuse": f"{name}_diffuse.png",
    }


def bundle_template(bundle: Path) -> tuple[Template, str]:
    """The template head of a bundle, and the SHA-256 of its file."""
    path = Path(bundle) / "bundle.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))["template"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path}: expected a manifest with a template head, found {error!r}") from None
    return load_template(path.with_name(description["file"]["path"]), description), description["file"]["sha256"]


def face_vertices(template: Template, face: np.ndarray) -> np.ndarray:
    """Which of all vertices count in figures of shape, as the evaluation has it: uint8 [N], of a mask bool [S, S]."""
    skin, _ = template.parts["skin"]
    counted = np.zeros(len(template.positions), np.uint8)
    counted[skin] = TemplateShape.of(template).on_face(face)
    return counted


def template_pose(
    camera: Camera, pivot: np.ndarray, vertices: np.ndarray, aligned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and translation [3] that bring aligned vertices to where the camera sees a person's own.

    The two are related by a similarity transform; its scale is divided out, which moves no projected point.
    """
    seen = camera.to_camera(vertices, pivot)
    transform, *_ = np.linalg.lstsq(np.column_stack([aligned, np.ones(len(aligned))]), seen)
    scale = np.cbrt(np.linalg.det(transform[:3]))
    return transform[:3].T / scale, transform[3] / scale


def face_height(points: np.ndarray) -> float:
    """Pixels from the highest to the lowest landmark of the skin."""
    return float(np.ptp(points[:SKIN_LANDMARKS, 1]))


def stored_albedo(diffuse: np.ndarray) -> np.ndarray:
    """Linear albedo [S, S, 3] averaged to the stored size, sRGB uint8 [256, 256, 3]."""
    step = len(diffuse) // MAP_SIZE
    mean = diffuse.reshape(MAP_SIZE, step, MAP_SIZE, step, 3).mean((1, 3), dtype=np.float64)
    return np.rint(srgb_encode(mean) * 255).astype(np.uint8)


def _existing(folder: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries of the people whose files are there."""
    path = folder / MANIFEST
    if not path.exists():
        return []
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        people = manifest.pop("people")
    except (ValueError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path} is no manifest of a held-out set ({error!r}); delete it") from None
    if manifest != json.loads(json.dumps(header)):
        raise DatasetError(f"{folder} holds another held-out set; choose another folder or delete it")
    return [entry for entry in people if all((folder / name).exists() for name in entry["files"].values())]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _store(path: Path, content: bytes) -> None:
    try:
        store_atomically(path, content)
    except OSError as error:
        raise DatasetError(f"cannot write {path}: {error}") from None
