"""Data sets of synthetic people for training: folder format, reading and the shard specification.

A data set is a folder::

    dataset.json            the ShardSpec and "format": 1, the channel names and value encodings
    masks.npz               chart, skin, face  uint8 [S, S] (0 or 255): see below
    shard-00000/            people first_seed … first_seed + shard_size - 1, in this order
        maps.npy            uint8   [n, 6, S, S]
        shape.npy           float32 [n, K]
        chips.npy           uint8   [n, C, 150, 150, 3]
        selfies.npy         uint8   [n, C, P, P, 3]      only if selfie_size P > 0
        points.npy          float32 [n, C, 478, 2]       only if selfie_size P > 0
        attributes.npy      structured [n], dtype ATTRIBUTES
        shard.json          written last: {"first_seed", "count", "bytes"}
    shard-00001/ …

A shard is written to a hidden folder and renamed when it is whole, so a folder with the name
``shard-NNNNN`` is always complete. Every ``.npy`` can be memory-mapped.

``maps`` channels (row 0 is the top of the texture; UV origin top-left, as in glTF):

===== =========== =======================================================================
0–2   diffuse     albedo RGB, sRGB-encoded 8 bit; decoded values are linear reflectance
3     specular    F0 at normal incidence, linear: ``F0 = byte / 255 * F0_MAX``
4–5   normal xy   tangent space, OpenGL Y+: ``n = (byte - 128) / 127`` and
                  ``z = sqrt(1 - x² - y²)``
===== =========== =======================================================================

:func:`decode_maps` and :func:`encode_maps` convert; networks may also use the bytes directly.

Masks: ``chart`` is where texels lie on the head's surface (outside of it map values mean nothing);
``skin`` is chart without the eye openings, the crown and back under hair, and the strip at the cut
of the neck; ``face`` is the front of the face (forehead to chin, ear to ear), the region of the
reported figures. ``face`` ⊂ ``skin`` ⊂ ``chart``.

``shape``: coefficients of the template's basis, whitened (unit variance over the population):
``positions = mean + basis @ (sigma * shape)``, in metres. Mean, basis and sigma come with the
template head (:func:`fitdiff.faces.template.load_template`).

``chips``: RGB, sRGB 8 bit, aligned by the bundle's rule (five landmarks, least-squares similarity,
see :mod:`fitdiff.faces.chips`); each shows the person with another pose, light, expression,
camera, hair and background. They are what the recogniser takes.

``selfies`` are the whole photos that the chips are cut from, ``points`` the projected 478 landmarks
in pixels (x right, y down, pixel centres at +0.5).

Seeds: training uses ``[0, 1_000_000)``, validation ``[1_000_000, 2_000_000)``, the held-out test
``[2_000_000, 3_000_000)``; see :data:`SEED_RANGES`. The population statistics of the shape basis
come from a further range that no data set uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from fitdiff.errors import DatasetError

FORMAT_VERSION = 1
F0_MAX = 0.06
"""Specular albedo that the byte 255 stands for."""

CHIP_SIZE = 150
LANDMARK_COUNT = 478

SEED_RANGES: dict[str, range] = {
    "train": range(0, 1_000_000),
    "validation": range(1_000_000, 2_000_000),
    "test": range(2_000_000, 3_000_000),
    "population": range(3_000_000, 4_000_000),
}
"""Disjoint identity seeds by use. ``population`` feeds the shape basis only."""

MAP_CHANNELS = ("diffuse_r", "diffuse_g", "diffuse_b", "specular", "normal_x", "normal_y")

ATTRIBUTES = np.dtype(
    [
        ("seed", "<i8"),
        ("ita", "<f4"),  # individual typology angle of the cheeks, degrees
        ("age", "<f4"),  # years
        ("male", "<f4"),  # 0 female … 1 male, continuous
        ("albedo", "<f4", 3),  # mean linear RGB over the skin mask
        ("iris", "<f4", 3),  # linear RGB
        ("hair", "<f4", 3),  # linear RGB
        ("beard", "<f4"),  # 0 none … 1 full and long
        ("makeup", "<f4"),  # 0 none … 1 strong
    ]
)


@dataclass(frozen=True)
class ShardSpec:
    """What a data set holds; equal specs give equal files.

    Attributes:
        map_size: side S of the square maps in texels (256 or 512).
        chips: views C per person.
        selfie_size: side P of stored whole photos in pixels, 0 to store chips only.
        first_seed: identity seed of the first person.
        count: number of people.
        shard_size: people per shard; the last shard may hold fewer.
        components: length K of the shape code.
        scene_seed: changes pose, light, hair … of the views, not the people.
    """

    map_size: int = 256
    chips: int = 4
    selfie_size: int = 0
    first_seed: int = 0
    count: int = 1024
    shard_size: int = 64
    components: int = 120
    scene_seed: int = 0

    @property
    def shard_count(self) -> int:
        """Number of shards of the complete data set."""
        return -(-self.count // self.shard_size)

    def seeds(self, shard: int) -> range:
        """Identity seeds of one shard, in order."""
        start = self.first_seed + shard * self.shard_size
        return range(start, min(start + self.shard_size, self.first_seed + self.count))


@dataclass
class Shard:
    """One shard's arrays (memory-mapped unless loaded with ``mmap=False``)."""

    maps: np.ndarray
    shape: np.ndarray
    chips: np.ndarray
    attributes: np.ndarray
    selfies: np.ndarray | None = None
    points: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.attributes)


def shard_path(folder: Path, index: int) -> Path:
    """Folder of one shard."""
    return Path(folder) / f"shard-{index:05d}"


def load_spec(folder: Path) -> ShardSpec:
    """Read ``dataset.json``.

    Raises:
        DatasetError: the file is missing, not JSON, or of another format version.
    """
    path = Path(folder) / "dataset.json"
    try:
        description = json.loads(path.read_text())
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: not a data set folder") from None
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is not valid JSON ({error})") from None
    if description.get("format") != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format {description.get('format')!r}, this program reads {FORMAT_VERSION}; generate it again"
        )
    names = {field.name for field in fields(ShardSpec)}
    return ShardSpec(**{key: value for key, value in description["spec"].items() if key in names})


def save_spec(folder: Path, spec: ShardSpec) -> None:
    """Write ``dataset.json``."""
    description = {
        "format": FORMAT_VERSION,
        "spec": asdict(spec),
        "map_channels": MAP_CHANNELS,
        "f0_max": F0_MAX,
        "attributes": [[name, str(ATTRIBUTES[name])] for name in ATTRIBUTES.names],
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "dataset.json").write_text(json.dumps(description, indent=1) + "\n")


def load_masks(folder: Path) -> dict[str, np.ndarray]:
    """Return ``chart``, ``skin`` and ``face`` as bool [S, S]."""
    path = Path(folder) / "masks.npz"
    try:
        with np.load(path) as file:
            return {name: file[name] > 127 for name in ("chart", "skin", "face")}
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from None


def load_shard(folder: Path, index: int, mmap: bool = True) -> Shard:
    """Open one shard and check its arrays against the specification.

    Raises:
        DatasetError: the shard is missing or an array has another shape or type than described.
    """
    spec = load_spec(folder)
    path = shard_path(folder, index)
    n = len(spec.seeds(index))
    size, views, photo = spec.map_size, spec.chips, spec.selfie_size
    expected = {
        "maps": ((n, len(MAP_CHANNELS), size, size), np.uint8),
        "shape": ((n, spec.components), np.float32),
        "chips": ((n, views, CHIP_SIZE, CHIP_SIZE, 3), np.uint8),
        "attributes": ((n,), ATTRIBUTES),
    }
    if photo:
        expected["selfies"] = ((n, views, photo, photo, 3), np.uint8)
        expected["points"] = ((n, views, LANDMARK_COUNT, 2), np.float32)
    arrays = {}
    for name, (shape, dtype) in expected.items():
        file = path / f"{name}.npy"
        try:
            array = np.load(file, mmap_mode="r" if mmap else None)
        except (FileNotFoundError, ValueError, EOFError) as error:
            raise DatasetError(f"{file}: {error}; delete {path} and generate it again") from None
        if array.shape != shape or array.dtype != dtype:
            raise DatasetError(
                f"{file}: expected {np.dtype(dtype)} {shape}, found {array.dtype} {array.shape}; "
                f"delete {path} and generate it again"
            )
        arrays[name] = array
    return Shard(**arrays)


def complete_shards(folder: Path) -> list[int]:
    """Indices of the shards that exist, in order."""
    spec = load_spec(folder)
    return [i for i in range(spec.shard_count) if (shard_path(folder, i) / "shard.json").exists()]


def iterate_shards(folder: Path) -> Iterator[Shard]:
    """Yield the complete shards in order."""
    for index in complete_shards(folder):
        yield load_shard(folder, index)


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    """Linear reflectance 0…1 → sRGB 0…1 (IEC 61966-2-1)."""
    x = np.clip(linear, 0.0, 1.0)
    return np.where(x > 0.0031308, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055, 12.92 * x)


def srgb_decode(encoded: np.ndarray) -> np.ndarray:
    """sRGB 0…1 → linear 0…1 (IEC 61966-2-1)."""
    x = np.clip(encoded, 0.0, 1.0)
    return np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)


def encode_maps(diffuse: np.ndarray, specular: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Pack linear RGB [S, S, 3], F0 [S, S] and unit normals [S, S, 3] to uint8 [6, S, S]."""
    out = np.empty((len(MAP_CHANNELS), *specular.shape), np.uint8)
    out[:3] = np.rint(srgb_encode(diffuse) * 255).transpose(2, 0, 1)
    out[3] = np.rint(np.clip(specular / F0_MAX, 0, 1) * 255)
    out[4:] = np.clip(np.rint(normal[..., :2] * 127) + 128, 0, 255).transpose(2, 0, 1)
    return out


def decode_maps(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unpack uint8 [..., 6, S, S] to linear RGB [..., S, S, 3], F0 [..., S, S], normals [..., S, S, 3]."""
    values = maps.astype(np.float32)
    diffuse = srgb_decode(np.moveaxis(values[..., :3, :, :], -3, -1) / 255)
    specular = values[..., 3, :, :] / 255 * F0_MAX
    xy = (np.moveaxis(values[..., 4:6, :, :], -3, -1) - 128) / 127
    z = np.sqrt(np.maximum(1e-6, 1 - (xy**2).sum(-1, keepdims=True)))
    return diffuse.astype(np.float32), specular, np.concatenate([xy, z], -1)
