"""Checksums, archives and the committed files."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from face_nets.__main__ import main
from face_nets.build import NETWORKS
from face_nets.checksums import ChecksumError, check_bundle, recorded_sums, sha256
from face_nets.fetch import FetchError, extract, fetch
from face_nets.photos import PHOTOS
from face_nets.sources import NpmPackage, SourceFile

REPOSITORY = Path(__file__).parents[3]
CONTENT = b"0123456789"
PACKAGE = NpmPackage("@scope/example", "1.2.3")


def source(expected: bytes, part: tuple[int, int] | None = None) -> SourceFile:
    return SourceFile("weights.bin", PACKAGE, "package/weights.bin", hashlib.sha256(expected).hexdigest(), part)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder whose package is already downloaded."""
    folder = tmp_path / "packages" / "@scope-example-1.2.3"
    folder.mkdir(parents=True)
    entry = tarfile.TarInfo("package/weights.bin")
    entry.size = len(CONTENT)
    with tarfile.open(folder / "example.tgz", "w:gz") as tar:
        tar.addfile(entry, io.BytesIO(CONTENT))
    return tmp_path


def test_sha256_is_the_standard_one():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_extracted_checked_and_kept(work):
    assert fetch(source(CONTENT), work) == CONTENT
    assert (work / "weights.bin").read_bytes() == CONTENT


def test_a_part_of_a_file_is_cut_out(work):
    assert fetch(source(b"345", part=(3, 3)), work) == b"345"


def test_a_kept_file_is_used_without_its_package(tmp_path):
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert fetch(source(CONTENT), tmp_path) == CONTENT


def test_a_kept_file_that_was_damaged_is_extracted_again(work):
    (work / "weights.bin").write_bytes(b"damaged")
    assert fetch(source(CONTENT), work) == CONTENT


def test_another_file_than_the_pinned_one_is_refused_by_name_with_both_sums(work):
    with pytest.raises(ChecksumError) as error:
        fetch(source(b"the pinned one"), work)
    message = str(error.value)
    for part in ("weights.bin", sha256(b"the pinned one"), sha256(CONTENT), "@scope/example 1.2.3"):
        assert part in message
    assert not (work / "weights.bin").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_missing_member_is_named(tmp_path, kind):
    archive = tmp_path / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as wheel:
            wheel.writestr("other", b"")
    else:
        tarfile.open(archive, "w:gz").close()
    with pytest.raises(FetchError, match=f"archive.{kind}: expected a file package/weights.bin, found none"):
        extract(archive, "package/weights.bin")


def test_the_committed_networks_are_the_recorded_ones():
    sums = recorded_sums()
    assert set(sums) == {network.file for network in NETWORKS}
    for name, expected in sums.items():
        assert sha256((REPOSITORY / "models/base" / name).read_bytes()) == expected, name


def test_the_committed_photos_are_the_recorded_ones():
    for photo in PHOTOS:
        assert sha256((REPOSITORY / "assets/selfies" / photo.file).read_bytes()) == photo.sha256, photo.file


def test_the_sums_in_the_documents_are_the_recorded_ones():
    card = (REPOSITORY / "models/README.md").read_text(encoding="utf-8")
    assert all(expected in card for expected in recorded_sums().values())
    selfies = (REPOSITORY / "assets/selfies/README.md").read_text(encoding="utf-8")
    assert all(photo.sha256 in selfies for photo in PHOTOS)


def test_a_bundle_is_checked_against_its_manifest(tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    manifest = {"networks": {"a": {"file": {"path": "a.bin", "sha256": sha256(CONTENT)}}}, "maps": [{"size": 512}]}
    (tmp_path / "bundle.json").write_text(json.dumps(manifest))
    assert check_bundle(tmp_path) == ["a.bin"]

    (tmp_path / "a.bin").write_bytes(b"changed")
    assert main(["check", "--dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "a.bin" in error and sha256(CONTENT) in error and sha256(b"changed") in error


def test_a_manifest_without_sums_is_refused(tmp_path):
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(ChecksumError, match="found none"):
        check_bundle(tmp_path)


def test_a_bundle_without_manifest_needs_all_networks(tmp_path):
    with pytest.raises(ChecksumError, match=r"blazeface_short\.onnx: missing\. Build it"):
        check_bundle(tmp_path)
