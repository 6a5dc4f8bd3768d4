"""Checkpoints that are either whole or absent, and that know which configuration they belong to."""

from __future__ import annotations

import errno
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from fitdiff.learning.errors import RecipeError

FORMAT = 1


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise RecipeError(f"no space left on the disk while writing {path}; free some and run again") from error
        raise


def save_checkpoint(path: Path, kind: str, digest: str, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: target file.
        kind: what is trained (`autoencoder`, `diffusion`).
        digest: digest of the configuration sections it depends on.
        state: tensors, numbers, strings, and lists and dicts of them.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "kind": kind, "digest": digest, "state": state}, buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path, kind: str, digest: str) -> dict[str, Any] | None:
    """Read a checkpoint's state to CPU memory, or None where there is none.

    Raises:
        RecipeError: the file is damaged, of another kind, or belongs to another configuration.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = (content["format"], content["kind"])
    except (RuntimeError, KeyError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path} is not a readable checkpoint; delete it to start again ({error})") from error
    if found != (FORMAT, kind):
        raise RecipeError(f"{path} holds {found}, expected {(FORMAT, kind)}; use another --work folder")
    if content["digest"] != digest:
        raise RecipeError(
            f"{path} is the checkpoint of another configuration (digest {content['digest']}, expected {digest}); "
            "use another --work folder, or delete it to start again"
        )
    return content["state"]
