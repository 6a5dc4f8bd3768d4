"""Commands ``train-autoencoder``, ``train-diffusion``, ``export``, ``evaluate`` and ``recipe``."""

from __future__ import annotations

import argparse
from pathlib import Path

from fitdiff.faces.makehuman import ENVIRONMENT_VARIABLE, default_root

MODELS = Path(__file__).parents[3]
"""The repository's folder `models`."""
DEFAULT_RECOGNISER = MODELS / "base" / "recogniser.onnx"
DEFAULT_WORK = MODELS / "training" / "work"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands of this package."""
    for name, function, text in (
        ("train-autoencoder", _train_autoencoder, "train the reflectance autoencoder; run again to continue"),
        ("train-diffusion", _train_diffusion, "train the denoiser; run again to continue"),
        ("export", _export, "write the networks and their manifest entries to a bundle"),
        ("evaluate", _evaluate, "write the model card's table and pictures, on held-out identities"),
        ("recipe", _recipe, "run everything from data to evaluation; run again to continue"),
    ):
        parser = subparsers.add_parser(name, help=text)
        parser.add_argument("--config", default="small", help="name of a configuration, or a TOML file")
        parser.add_argument("--work", type=Path, metavar="DIR", help="work folder; default models/training/work/CONFIG")
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        parser.add_argument("--threads", type=int, default=0, help="CPU threads of PyTorch; 0: all cores")
        parser.add_argument("--recogniser", type=Path, default=DEFAULT_RECOGNISER, metavar="ONNX")
        parser.add_argument(
            "--data",
            type=Path,
            default=default_root(),
            metavar="DIR",
            help=f"MakeHuman source folder; default ${ENVIRONMENT_VARIABLE}",
        )
        if name in ("export", "evaluate", "recipe"):
            parser.add_argument("--bundle", type=Path, metavar="DIR", help="bundle folder; default WORK/bundle")
        if name == "recipe":
            parser.add_argument("--processes", type=int, default=0, help="data generation: 0 for one per core")
        parser.set_defaults(run=function)


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
    _export(args)
    _evaluate(args)
