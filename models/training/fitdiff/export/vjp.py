"""Vector-Jacobian products with respect to inputs, as ONNX graphs built from forward ONNX graphs.

The result recomputes the forward pass and then runs reverse-mode differentiation over the nodes between the chosen
inputs and outputs, with one rule per operator (`vjp_rules`, `vjp_rules_spatial`). Weights are constants: no gradient
with respect to them is built. Neither PyTorch nor the network's source is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from fitdiff.export import vjp_rules, vjp_rules_spatial  # noqa: F401  (importing them fills the table of rules)
from fitdiff.export.graph import GraphBuilder, GraphError, constants_to_initialisers, pruned
from fitdiff.export.vjp_registry import RULES

SEED_PREFIX = "seed_"
"""An output's cotangent is the input `seed_<output>`."""
GRADIENT_PREFIX = "grad_"
"""An input's gradient is the output `grad_<input>`."""


def input_vjp(
    model: onnx.ModelProto,
    inputs: Sequence[str],
    outputs: Sequence[str] | None = None,
    keep: Sequence[str] = (),
) -> onnx.ModelProto:
    """Build sum over outputs of seed^T d(output)/d(input) for each of `inputs`.

    Args:
        model: forward graph with static shapes, opset 18, float32.
        inputs: inputs to differentiate with respect to.
        outputs: outputs whose seeds become inputs; all by default.
        keep: forward outputs that the graph returns too.

    Returns:
        A graph with the forward's inputs and the seeds, and with the kept outputs and the gradients.

    Raises:
        GraphError: an operator on the way has no rule, or an input does not reach any of the outputs.
    """
    model = constants_to_initialisers(model)
    builder = GraphBuilder(model, "vjp")
    graph = builder.model.graph
    chosen = list(outputs) if outputs is not None else [value.name for value in graph.output]

    active = set(inputs)
    for node in graph.node:
        if active.intersection(node.input):
            active.update(node.output)

    seeds, gradients = [], {}
    for name in chosen:
        seed = SEED_PREFIX + name
        seeds.append(helper.make_tensor_value_info(seed, builder.types[name], builder.shapes[name]))
        builder.types[seed], builder.shapes[seed] = builder.types[name], builder.shapes[name]
        gradients[name] = [seed]

    def total(name: str) -> str | None:
        parts = gradients.get(name)
        if not parts:
            return None
        while len(parts) > 1:
            parts[:2] = [builder.op("Add", parts[0], parts[1])]
        return parts[0]

    for node in reversed(list(graph.node)):
        if not active.intersection(node.output):
            continue
        output_gradients = [total(name) for name in node.output]
        if not any(output_gradients):
            continue
        if node.op_type not in RULES:
            raise GraphError(f"no input-gradient rule for operator {node.op_type} (node '{node.name}')")
        wanted = [name in active for name in node.input]
        found = RULES[node.op_type](builder, node, output_gradients, wanted)
        for name, want, gradient in zip(node.input, wanted, found, strict=True):
            if want and gradient is not None:
                gradients.setdefault(name, []).append(gradient)

    results = [value for value in graph.output if value.name in keep]
    for name in inputs:
        gradient = total(name)
        if gradient is None:
            raise GraphError(f"input '{name}' does not reach the outputs {', '.join(chosen)}")
        target = GRADIENT_PREFIX + name
        builder.nodes.append(helper.make_node("Identity", [gradient], [target], name=f"node_{target}"))
        results.append(helper.make_tensor_value_info(target, builder.types[name], builder.shapes[name]))

    return pruned(
        [*graph.node, *builder.nodes],
        [*graph.input, *seeds],
        results,
        graph.initializer,
        f"{graph.name}_vjp",
        builder.model,
    )
