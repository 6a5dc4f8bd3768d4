"""Comparison of an exported graph in ONNX Runtime with the PyTorch module it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from fitdiff.export.graph import GraphError
from fitdiff.export.vjp import GRADIENT_PREFIX, SEED_PREFIX

FORWARD_TOLERANCE = 2e-2
"""Largest accepted difference of an output, relative to the output's root mean square, with weights stored in fp16."""


def run_file(path: Path, feeds: Mapping[str, np.ndarray], threads: int = 1) -> dict[str, np.ndarray]:
    """Run an ONNX file on the CPU; returns its outputs by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = {value.name for value in session.get_inputs()}
    found = session.run(names, {name: value for name, value in feeds.items() if name in wanted})
    return dict(zip(names, found, strict=True))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference over that of the expected values."""
    scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    error = float(np.sqrt(np.mean(np.square(found.astype(np.float64) - expected))))
    return error / max(scale, 1e-12)


@torch.no_grad()
def check_forward(
    path: Path, module: nn.Module, example: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> dict[str, float]:
    """Relative error of each output of the file against the module.

    Raises:
        GraphError: an error is larger than `FORWARD_TOLERANCE`.
    """
    found = run_file(path, {name: value.numpy() for name, value in zip(inputs, example, strict=True)})
    expected = module(*example)
    if isinstance(expected, Tensor):
        expected = (expected,)
    errors = {name: relative_error(found[name], value.numpy()) for name, value in zip(outputs, expected, strict=True)}
    _refuse(path, errors, FORWARD_TOLERANCE)
    return errors


def check_gradient(
    path: Path,
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    wrt: Sequence[str],
    tolerance: float,
) -> dict[str, float]:
    """Relative error of each input gradient of a VJP file against PyTorch's autograd, for random unit normal seeds.

    Raises:
        GraphError: an error is larger than `tolerance`.
    """
    arguments = [value.clone().requires_grad_(name in wrt) for name, value in zip(inputs, example, strict=True)]
    results = module(*arguments)
    if isinstance(results, Tensor):
        results = (results,)
    generator = torch.Generator().manual_seed(1)
    seeds = [torch.randn(value.shape, generator=generator) for value in results]
    targets = [value for name, value in zip(inputs, arguments, strict=True) if name in wrt]
    expected = torch.autograd.grad(results, targets, seeds)
    feeds = {name: value.detach().numpy() for name, value in zip(inputs, arguments, strict=True)}
    feeds |= {f"{SEED_PREFIX}{name}": seed.numpy() for name, seed in zip(outputs, seeds, strict=True)}
    found = run_file(path, feeds)
    errors = {
        name: relative_error(found[f"{GRADIENT_PREFIX}{name}"], value.numpy())
        for name, value in zip(wrt, expected, strict=True)
    }
    _refuse(path, errors, tolerance)
    return errors


def _refuse(path: Path, errors: dict[str, float], tolerance: float) -> None:
    for name, error in errors.items():
        if not error <= tolerance:
            raise GraphError(f"{path.name}: '{name}' differs from PyTorch by {error:.2e} (accepted {tolerance:.0e})")
