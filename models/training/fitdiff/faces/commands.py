"""Commands ``faces`` and ``template``."""

from __future__ import annotations

import argparse
from pathlib import Path

from fitdiff.errors import FitDiffError
from fitdiff.faces.dataset import SEED_RANGES, ShardSpec
from fitdiff.faces.makehuman import ENVIRONMENT_VARIABLE, default_root

GRID_KINDS = ("neutral", "views", "selfies", "maps", "expressions")


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this package."""
    faces = subparsers.add_parser("faces", help="generate synthetic faces")
    actions = faces.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_dataset(actions)
    _register_grid(actions)
    _register_landmarks(actions)
    _register_fetch(actions)
    template = subparsers.add_parser("template", help="write the template head for the runtime")
    _add_data(template)
    template.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for template.bin")
    template.set_defaults(run=_run_template)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=default_root(),
        metavar="DIR",
        help=f"MakeHuman source folder; default ${ENVIRONMENT_VARIABLE}",
    )


def _data_root(args: argparse.Namespace) -> Path:
    if args.data is None:
        raise FitDiffError(f"no MakeHuman folder: give --data DIR or set {ENVIRONMENT_VARIABLE}")
    return args.data


def _register_dataset(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("dataset", help="write training shards; run again to continue")
    _add_data(parser)
    spec = ShardSpec()
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data set folder")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train", help="range of seeds")
    parser.add_argument("--count", type=int, default=spec.count, help="number of people")
    parser.add_argument("--map-size", type=int, choices=(256, 512), default=spec.map_size)
    parser.add_argument("--chips", type=int, default=spec.chips, help="views per person")
    parser.add_argument("--selfie-size", type=int, default=spec.selfie_size, help="store whole photos of this side")
    parser.add_argument("--shard-size", type=int, default=spec.shard_size, help="people per shard")
    parser.add_argument("--scene-seed", type=int, default=spec.scene_seed, help="changes the views, not the people")
    parser.add_argument("--processes", type=int, default=0, help="0: one per core")
    parser.set_defaults(run=_run_dataset)


def _run_dataset(args: argparse.Namespace) -> None:
    from fitdiff.faces.dataset_writer import write_dataset

    seeds = SEED_RANGES[args.split]
    if not 0 < args.count <= len(seeds):
        raise FitDiffError(f"--count: expected 1…{len(seeds)}, found {args.count}")
    spec = ShardSpec(
        map_size=args.map_size,
        chips=args.chips,
        selfie_size=args.selfie_size,
        first_seed=seeds.start,
        count=args.count,
        shard_size=args.shard_size,
        scene_seed=args.scene_seed,
    )
    write_dataset(_data_root(args), args.out, spec, args.processes)


def _register_grid(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("grid", help="draw a sheet of people, maps, photos or expressions")
    _add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="PNG")
    parser.add_argument("--kind", choices=GRID_KINDS, default="neutral")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=24, help="people")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--size", type=int, default=200, help="side of one picture in pixels")
    parser.add_argument("--map-size", type=int, choices=(256, 512), default=256)
    parser.set_defaults(run=_run_grid)


def _run_grid(args: argparse.Namespace) -> None:
    from fitdiff.faces.generator import FaceGenerator
    from fitdiff.faces.grids import draw_grid, save_sheet

    generator = FaceGenerator.open(_data_root(args), args.map_size)
    seeds = range(args.first_seed, args.first_seed + args.count)
    save_sheet(draw_grid(generator, args.kind, seeds, args.columns, args.size), args.out)


def _register_landmarks(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("landmarks", help="derive landmarks.json again with the landmark network")
    _add_data(parser)
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="folder with the face networks")
    parser.add_argument("--people", type=int, default=60)
    parser.set_defaults(run=_run_landmarks)


def _run_landmarks(args: argparse.Namespace) -> None:
    from fitdiff.faces.generator import FaceGenerator
    from fitdiff.faces.landmark_fit import fit_landmarks, save_landmarks

    save_landmarks(fit_landmarks(FaceGenerator.open(_data_root(args)), args.bundle, people=args.people))


def _register_fetch(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("fetch", help="get MakeHuman's CC0 data and check its sums")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to fill, or to check if filled")
    parser.set_defaults(run=_run_fetch)


def _run_fetch(args: argparse.Namespace) -> None:
    from fitdiff.faces.fetch import fetch

    fetch(args.out)


def _run_template(args: argparse.Namespace) -> None:
    from fitdiff.faces.template import write_template

    write_template(_data_root(args), args.out)
