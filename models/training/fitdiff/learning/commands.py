"""Commands of training, export, evaluation and the whole recipe, and ``heldout``."""

from __future__ import annotations

import argparse
from pathlib import Path

from fitdiff.errors import FitDiffError
from fitdiff.faces.makehuman import ENVIRONMENT_VARIABLE, default_root

MODELS = Path(__file__).parents[3]
"""The repository's folder `models`."""
DEFAULT_BUNDLE = MODELS / "base"
DEFAULT_RECOGNISER = DEFAULT_BUNDLE / "recogniser.onnx"
DEFAULT_WORK = MODELS / "training" / "work"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this package."""
    for name, function, text in (
        ("train-autoencoder", _train_autoencoder, "train the reflectance autoencoder; run again to continue"),
        ("train-diffusion", _train_diffusion, "train the denoiser; run again to continue"),
        ("train-regressor", _train_regressor, "make photos and train the regressor on them; run again to continue"),
        ("train-iris", _train_iris, "train the reader of iris colours on the regressor's photos"),
        ("export", _export, "write the networks and their manifest entries to a bundle"),
        ("export-regressor", _export_regressor, "put the trained regressor into a bundle"),
        ("export-iris", _export_iris, "put the trained reader of iris colours into a bundle"),
        ("evaluate", _evaluate, "write the model card's table and pictures, on held-out identities"),
        ("recipe", _recipe, "run everything from data to evaluation; run again to continue"),
    ):
        parser = subparsers.add_parser(name, help=text)
        parser.add_argument("--config", default="small", help="name of a configuration, or a TOML file")
        parser.add_argument("--work", type=Path, metavar="DIR", help="work folder; default models/training/work/CONFIG")
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of PyTorch; 0: all cores")
        parser.add_argument("--recogniser", type=Path, default=DEFAULT_RECOGNISER, metavar="ONNX")
        _add_data(parser)
        if name in ("export", "export-regressor", "export-iris", "evaluate", "recipe"):
            parser.add_argument("--bundle", type=Path, metavar="DIR", help="bundle folder; default WORK/bundle")
        if name in ("recipe", "train-regressor", "train-iris"):
            parser.add_argument("--processes", type=int, default=0, help="data generation: 0 for one per core")
        parser.set_defaults(run=function)
    head = subparsers.add_parser("export-head", help="put another template head into a bundle; nothing is trained")
    head.add_argument("--template", type=Path, required=True, metavar="DIR", help="folder that 'template' wrote")
    head.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR", help="default models/base")
    head.set_defaults(run=_export_head)
    _register_heldout(subparsers)


def _register_heldout(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "heldout", help="write photos of held-out people and the truth behind them; run again to continue"
    )
    _add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the set")
    parser.add_argument("--count", type=int, default=100, help="number of people")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other people")
    parser.add_argument("--size", type=int, default=512, help="side of the photos in pixels")
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR", help="default models/base")
    parser.add_argument("--processes", type=int, default=0, help="0: one per core")
    parser.set_defaults(run=_heldout)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=default_root(),
        metavar="DIR",
        help=f"MakeHuman source folder; default ${ENVIRONMENT_VARIABLE}",
    )


def _workspace(args: argparse.Namespace):
    import torch

    from fitdiff.learning.config import load_config
    from fitdiff.learning.stages import Workspace
    from fitdiff.learning.trainer import Runtime

    if args.threads:
        torch.set_num_threads(args.threads)
    config = load_config(args.config)
    work = args.work or DEFAULT_WORK / config.name
    return Workspace(config, work, args.recogniser, Runtime.choose(args.device), args.data)


def _bundle(args: argparse.Namespace, work: Path) -> Path:
    return args.bundle or work / "bundle"


def _train_autoencoder(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import train_autoencoder

    train_autoencoder(_workspace(args))


def _train_diffusion(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import train_diffusion

    train_diffusion(_workspace(args))


def _export(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import export

    workspace = _workspace(args)
    folder = _bundle(args, workspace.work)
    export(workspace, folder)
    print(f"wrote {folder}")


def _train_regressor(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import generate_photos, train_regressor

    workspace = _workspace(args)
    generate_photos(workspace, args.processes)
    train_regressor(workspace)


def _train_iris(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import generate_photos, train_iris

    workspace = _workspace(args)
    generate_photos(workspace, args.processes)
    train_iris(workspace)


def _export_iris(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import export_trained_iris

    workspace = _workspace(args)
    folder = _bundle(args, workspace.work)
    export_trained_iris(workspace, folder)
    print(f"wrote {folder}")


def _export_regressor(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import export_trained_regressor

    workspace = _workspace(args)
    folder = _bundle(args, workspace.work)
    export_trained_regressor(workspace, folder)
    print(f"wrote {folder}")


def _export_head(args: argparse.Namespace) -> None:
    from fitdiff.export.exporter import export_head

    export_head(args.template, args.bundle)
    print(f"wrote {args.bundle}")


def _evaluate(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import run_evaluation

    workspace = _workspace(args)
    command = f"python -m fitdiff evaluate --config {args.config}"
    path = run_evaluation(workspace, _bundle(args, workspace.work), command)
    print(path.read_text(encoding="utf-8"))


def _recipe(args: argparse.Namespace) -> None:
    from fitdiff.learning.stages import generate_data, train_autoencoder, train_diffusion

    workspace = _workspace(args)
    generate_data(workspace, args.processes)
    train_autoencoder(workspace)
    train_diffusion(workspace)
    _train_regressor(args)
    _train_iris(args)
    _export(args)
    _export_regressor(args)
    _export_iris(args)
    _evaluate(args)


def _heldout(args: argparse.Namespace) -> None:
    from fitdiff.learning.heldout import LARGEST_COUNT, HeldOutSpec, write_heldout

    if args.data is None:
        raise FitDiffError(f"no MakeHuman folder: give --data DIR or set {ENVIRONMENT_VARIABLE}")
    for name, value, low, high in (
        ("count", args.count, 1, LARGEST_COUNT),
        ("seed", args.seed, 0, 2**63 - 1),
        ("size", args.size, 128, 2048),
    ):
        if not low <= value <= high:
            raise FitDiffError(f"--{name}: expected {low}…{high}, found {value}")
    write_heldout(args.data, args.bundle, args.out, HeldOutSpec(args.seed, args.size), args.count, args.processes)
