"""The shape decoder: whitened coefficients to the vertices of the template head, as a linear ONNX graph.

    vertices = positions + sum_k shape[k] * basis_scale[k] * basis[k]

The weights are the bytes of the template head's file (`template.bin`), so that the exported graph can refer to that
file. The leading components are fp16 there and the rest 8 bit integers; a Cast brings both to float32.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from fitdiff.export.graph import IR_VERSION, OPSET
from fitdiff.faces.template import Template
from fitdiff.learning.errors import RecipeError

BASES = ("basis_f16", "basis_i8")
"""Sections with the basis, leading components first."""
DTYPES = {"f32": "<f4", "f16": "<f2", "i8": "i1"}


def read_template(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Description and content of a folder's template head.

    Raises:
        RecipeError: a file is missing.
    """
    try:
        description = json.loads((folder / "template.json").read_text(encoding="utf-8"))
        return description, (folder / description["file"]["path"]).read_bytes()
    except FileNotFoundError as error:
        raise RecipeError(f"{error.filename} does not exist; run the recipe's data generation first") from error


def shape_decoder(description: dict[str, Any], content: bytes) -> onnx.ModelProto:
    """Build the graph from a template's description and file."""
    vertices, components = description["vertices"], description["components"]

    def section(name: str) -> np.ndarray:
        entry = description["sections"][name]
        dtype = np.dtype(DTYPES[entry["dtype"]])
        return np.frombuffer(content, dtype, int(np.prod(entry["shape"])), entry["offset"]).reshape(entry["shape"])

    bases = {name: section(name) for name in BASES}
    counts = [len(basis) for basis in bases.values()]
    initialisers = [
        numpy_helper.from_array(section("basis_scale").reshape(1, components), "basis_scale"),
        numpy_helper.from_array(section("positions").reshape(1, -1), "positions"),
        numpy_helper.from_array(np.asarray(counts, np.int64), "counts"),
        numpy_helper.from_array(np.asarray([1, vertices, 3], np.int64), "vertices_shape"),
        *(numpy_helper.from_array(basis.reshape(len(basis), -1), name) for name, basis in bases.items()),
    ]
    nodes = [
        helper.make_node("Mul", ["shape", "basis_scale"], ["scaled"], name="scale"),
        helper.make_node("Split", ["scaled", "counts"], [f"scaled_{name}" for name in BASES], name="split", axis=1),
    ]
    for name in BASES:
        single = f"{name}_single"
        nodes += [
            helper.make_node("Cast", [name], [single], name=f"cast_{name}", to=TensorProto.FLOAT),
            helper.make_node("MatMul", [f"scaled_{name}", single], [f"offset_{name}"], name=f"apply_{name}"),
        ]
    nodes += [
        helper.make_node("Add", [f"offset_{name}" for name in BASES], ["offset"], name="join"),
        helper.make_node("Add", ["offset", "positions"], ["flat"], name="place"),
        helper.make_node("Reshape", ["flat", "vertices_shape"], ["vertices"], name="vertices"),
    ]
    graph = helper.make_graph(
        nodes,
        "shape_decoder",
        [helper.make_tensor_value_info("shape", TensorProto.FLOAT, [1, components])],
        [helper.make_tensor_value_info("vertices", TensorProto.FLOAT, [1, vertices, 3])],
        initialisers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="fitdiff"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class TemplateVertices(nn.Module):
    """The same computation from the template as the generator of synthetic faces reads it, to check the graph
    against."""

    def __init__(self, template: Template) -> None:
        super().__init__()
        self.register_buffer("positions", torch.from_numpy(template.positions.copy()))
        self.register_buffer("basis", torch.from_numpy(template.basis.copy()))

    def forward(self, shape: Tensor) -> Tensor:
        """Whitened coefficients [1,K] to vertices [1,N,3], metres."""
        return self.positions + torch.einsum("bk,knc->bnc", shape, self.basis)
