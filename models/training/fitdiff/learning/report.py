"""The model card's table, made from an evaluation's figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.evaluate import SMALLEST_GROUP, Result
from fitdiff.learning.metrics import group_ratio, identity_groups

PER_GROUP = ("shape error", "aligned shape error", "albedo error", "albedo difference", "diffuse PSNR")
"""Figures that are broken down by group."""
GROUP_RATIOS = ("shape error", "aligned shape error", "albedo error", "albedo difference")
"""Errors whose worst group is compared with the best."""


def _mean(result: Result, name: str) -> float:
    return float(result.identities[name].mean())


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def headline(result: Result, size_mb: float | None) -> list[Sequence[str]]:
    """Rows of the main table: what, value, baseline, n."""
    n_maps, n = len(result.identities["diffuse PSNR"]), len(result.identities["shape error"])
    rows: list[Sequence[str]] = []
    for name, unit in (("diffuse PSNR", "dB"), ("specular PSNR", "dB"), ("normal angle", "°")):
        baseline = _mean(result, f"{name} of the mean maps")
        rows.append(
            (
                f"autoencoder: {name}",
                f"{_mean(result, name):.2f} {unit}",
                f"mean maps {baseline:.2f} {unit}",
                str(n_maps),
            )
        )
    for name, against, unit, digits in (
        ("shape error", "the mean head", "mm", 2),
        ("aligned shape error", "the mean head", "mm", 2),
        ("albedo error", "the mean albedo", "", 4),
        ("albedo difference", "the mean albedo", "ΔE", 1),
        ("albedo error per texel", "the mean albedo", "", 4),
    ):
        value, baseline = _mean(result, name), _mean(result, f"{name} of {against}")
        baselines = f"{against} {baseline:.{digits}f} {unit}".strip()
        if f"{name} of a regression" in result.identities:
            regressed = _mean(result, f"{name} of a regression")
            baselines += f", a regression {regressed:.{digits}f} {unit}".rstrip()
            baselines += f" ({100 * (regressed / baseline - 1):+.0f} %)"
        rows.append(
            (
                f"from one selfie, unguided: {name}",
                f"{value:.{digits}f} {unit}".strip() + f" ({100 * (value / baseline - 1):+.0f} %)",
                baselines,
                str(n),
            )
        )
    rows += [(name, f"{value:.3f}", "", "") for name, value in result.totals.items()]
    if size_mb is not None:
        rows.append(("size of the bundle", f"{size_mb:.1f} MB", "", ""))
    return rows


def table(result: Result, attributes: np.ndarray, size_mb: float | None, command: str) -> str:
    """The whole report as Markdown."""
    lines = [f"Figures on held-out identities, by `{command}`.", ""]
    lines += [_row("what", "value", "baseline", "n"), _row("---", "---", "---", "---")]
    lines += [_row(*row) for row in headline(result, size_mb)]
    for groups in identity_groups(attributes[: len(result.identities["shape error"])]):
        lines += ["", _row(groups.title, "n", *PER_GROUP), _row(*["---"] * (2 + len(PER_GROUP)))]
        for name, mask in groups.members.items():
            cells = []
            for figure in PER_GROUP:
                values = result.identities[figure]
                members = values[mask[: len(values)]]
                cells.append(f"{members.mean():.4g}" if len(members) else "-")
            lines.append(_row(name, str(int(mask.sum())), *cells))
        ratios = ", ".join(
            f"{figure} {group_ratio(result.identities[figure], groups, SMALLEST_GROUP):.2f}" for figure in GROUP_RATIOS
        )
        lines += ["", f"Worst over best group (of at least {SMALLEST_GROUP}): {ratios}."]
    return "\n".join(lines) + "\n"


def write_report(folder: Path, result: Result, attributes: np.ndarray, size_mb: float | None, command: str) -> Path:
    """Write `evaluation.md` and `evaluation.json`; returns the path of the former."""
    figures = {
        "command": command,
        "means": {name: float(values.mean()) for name, values in result.identities.items()},
        "counts": {name: len(values) for name, values in result.identities.items()},
        "totals": result.totals,
        "size_mb": size_mb,
    }
    with atomic_write(folder / "evaluation.json") as file:
        file.write((json.dumps(figures, indent=2) + "\n").encode())
    path = folder / "evaluation.md"
    with atomic_write(path) as file:
        file.write(table(result, attributes, size_mb, command).encode())
    return path
