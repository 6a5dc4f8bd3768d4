"""Gets MakeHuman's CC0 data from its public repository and checks every file that is used."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from fitdiff.errors import SourceDataError

REPOSITORY = "https://github.com/makehumancommunity/makehuman"
FOLDERS = ("3dobjs", "poseunits", "rigs", "targets")
CHECKSUMS = Path(__file__).with_name("makehuman.sha256")


def fetch(folder: Path) -> None:
    """Fill ``folder`` with ``makehuman/data/…`` if it is empty, then check it.

    Needs ``git`` and a network for the first part. Files that are already there are only checked.

    Raises:
        SourceDataError: the data could not be had, or a file is missing or differs.
    """
    folder = Path(folder)
    data = folder / "makehuman" / "data"
    if not data.is_dir():
        _clone(folder, data)
    problems = check(data)
    if problems:
        raise SourceDataError(
            f"{data}: {len(problems)} of {len(_expected())} files are missing or differ from the checked version, "
            f"first {problems[0]}; delete the folder and fetch again, or take them from another release of MakeHuman"
        )


def check(data: Path) -> list[str]:
    """Names of the files below ``data`` that are missing or differ from the recorded sums."""
    problems = []
    for name, expected in _expected().items():
        path = data / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            problems.append(name)
    return problems


def _expected() -> dict[str, str]:
    lines = CHECKSUMS.read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def _clone(folder: Path, data: Path) -> None:
    """Sparse clone: only the folders that are needed, without history."""
    folder.mkdir(parents=True, exist_ok=True)
    clone = folder / ".clone"
    shutil.rmtree(clone, ignore_errors=True)
    steps = (
        ["git", "clone", "--depth", "1", "--filter=blob:none", "--sparse", REPOSITORY, str(clone)],
        ["git", "-C", str(clone), "sparse-checkout", "set", *(f"makehuman/data/{name}" for name in FOLDERS)],
    )
    try:
        for step in steps:
            subprocess.run(step, check=True, capture_output=True, text=True)
        data.parent.mkdir(parents=True, exist_ok=True)
        (clone / "makehuman" / "data").rename(data)
    except FileNotFoundError:
        raise SourceDataError("git is not installed; install it, or copy MakeHuman's data folder by hand") from None
    except subprocess.CalledProcessError as error:
        raise SourceDataError(f"cannot clone {REPOSITORY}: {error.stderr.strip().splitlines()[-1]}") from None
    finally:
        shutil.rmtree(clone, ignore_errors=True)
