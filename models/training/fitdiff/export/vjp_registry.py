"""The table of input-gradient rules per ONNX operator, and what rules share.

A rule gets the builder, the forward node, the gradient of each of its outputs (None where nothing depends on it) and,
for each input, whether its gradient is wanted. It returns one gradient name per input, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx

from fitdiff.export.graph import GraphBuilder

Gradients = Sequence[str | None]
Rule = Callable[[GraphBuilder, onnx.NodeProto, Gradients, Sequence[bool]], Gradients]

RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators."""

    def register(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator] = function
        return function

    return register


def only_first(gradient: str | None, node: onnx.NodeProto) -> Gradients:
    """A gradient for the first input and none for the others."""
    return [gradient] + [None] * (len(node.input) - 1)
