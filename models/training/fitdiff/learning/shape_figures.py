"""Figures of shape and mean colour from one selfie, with what the embedding alone allows beside them."""

from __future__ import annotations

import numpy as np

from fitdiff.learning import metrics

RIDGE = 30.0
"""Weight of the regression's prior: pseudo-samples of no effect per unit variance of an embedding component."""


def regress(embeddings: np.ndarray, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Ridge regression of values [N,D] on embeddings [N,C,E] of C views, evaluated at queries [M,E].

    It is the least that a generator can do with an embedding, and close to the most: a multi-layer perceptron trained
    on the same pairs predicts the shape no better.
    """
    count, views, width = embeddings.shape
    inputs = embeddings.reshape(count * views, width).astype(np.float64)
    targets = np.repeat(values.astype(np.float64), views, axis=0)
    centre, scale, mean = inputs.mean(axis=0), inputs.std(), targets.mean(axis=0)
    inputs = (inputs - centre) / scale
    weights = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(width), inputs.T @ (targets - mean))
    return (queries - centre) / scale @ weights + mean


def shape_figures(
    generated: np.ndarray, truth: np.ndarray, regressed: np.ndarray, directions: np.ndarray, mean_head: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean face-vertex errors in millimetres, for coefficients [B,K].

    Without alignment they are of faces that are each brought to the mean head's, as the template does to first order.
    With a similarity alignment to the truth only the face's form counts.

    Args:
        generated: coefficients from the generator.
        truth: coefficients of the held-out identities.
        regressed: coefficients by regression from the same embeddings.
        directions: shape basis times its standard deviations at the face's vertices [V,3,K], metres.
        mean_head: the face's vertices of the mean head [V,3], metres.
    """

    def vertices(coefficients: np.ndarray) -> np.ndarray:
        return mean_head + np.einsum("vck,bk->bvc", directions, coefficients, optimize=True)

    target = vertices(truth)
    figures: dict[str, np.ndarray] = {}
    for suffix, coefficients in (
        ("", generated),
        (" of the mean head", np.zeros_like(truth)),
        (" of a regression", regressed),
    ):
        figures[f"shape error{suffix}"] = metrics.vertex_error(coefficients - truth, directions)
        figures[f"aligned shape error{suffix}"] = metrics.aligned_vertex_error(vertices(coefficients), target)
    return figures
