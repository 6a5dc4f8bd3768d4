"""SHA-256 of files: computing, recording and comparing."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("bundle.sha256")
"""Checked-in sums of the files that `build` makes, in the format of `sha256sum`."""

MANIFEST = "bundle.json"
"""Manifest of a model bundle; it names the bundle's files and their sums."""


class ChecksumError(RuntimeError):
    """A file is missing or is not the expected one."""


def sha256(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def verify(name: str, data: bytes, expected: str, advice: str) -> None:
    """Raises `ChecksumError` with the name, both sums and `advice` if `data` is not the expected file."""
    found = sha256(data)
    if found != expected:
        raise ChecksumError(f"{name}: expected sha256 {expected}, found {found}. {advice}")


def recorded_sums() -> dict[str, str]:
    """File name -> sum of the files that `build` makes."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    return {name: found for found, name in (line.split(maxsplit=1) for line in lines)}


def manifest_sums(manifest: Any) -> dict[str, str]:
    """File name -> sum of every object in a parsed `bundle.json` that has both a `path` and a `sha256`."""
    return dict(_file_records(manifest))


def _file_records(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("path"), str) and isinstance(node.get("sha256"), str):
            yield node["path"], node["sha256"]
        for child in node.values():
            yield from _file_records(child)
    elif isinstance(node, list):
        for child in node:
            yield from _file_records(child)


def expected_sums(bundle: Path) -> dict[str, str]:
    """Sums that a bundle's files must have: its manifest's, or the recorded ones where there is no manifest."""
    manifest = bundle / MANIFEST
    if not manifest.exists():
        return recorded_sums()
    sums = manifest_sums(json.loads(manifest.read_text(encoding="utf-8")))
    if not sums:
        raise ChecksumError(f"{manifest}: expected objects with `path` and `sha256`, found none")
    return sums


def check_bundle(bundle: Path) -> list[str]:
    """Names of the bundle's files, all of them present and as expected.

    Raises `ChecksumError` for the first file that is missing or differs.
    """
    expected = expected_sums(bundle)
    for name, expected_sum in expected.items():
        path = bundle / name
        if not path.is_file():
            raise ChecksumError(f"{path}: missing. Build it with `python -m face_nets build --out {bundle}`.")
        verify(str(path), path.read_bytes(), expected_sum, "The file was changed or is of another version.")
    return list(expected)
