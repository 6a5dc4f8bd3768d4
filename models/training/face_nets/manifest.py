"""The face front-end's part of a bundle's manifest: its networks and the rules around them."""

import json
import os
from pathlib import Path
from typing import Any

import onnx

from .checksums import MANIFEST, sha256
from .chip import PADDING, TEMPLATE, TEMPLATE_LANDMARKS

FORMAT = 1
"""Format of the manifest, as the crate counts it."""

BATCH = 1
"""Length that symbolic axes of a graph are pinned to."""

DTYPES: dict[int, str] = {onnx.TensorProto.FLOAT: "f32", onnx.TensorProto.FLOAT16: "f16", onnx.TensorProto.INT64: "i64"}

NETWORKS: dict[str, dict[str, Any]] = {
    "detector_short": {
        "path": "blazeface_short.onnx",
        "origin": "BlazeFace short range, MediaPipe 0.10.21",
        "licence": "Apache-2.0",
        "meanings": {
            "input": "letterboxed photo, sRGB, -1 to 1",
            "regressors": "per anchor: box centre and size, six keypoints, in input pixels relative to the anchor",
            "classificators": "per anchor: score logit",
        },
    },
    "detector_full": {
        "path": "blazeface_full.onnx",
        "origin": "BlazeFace full range, @mediapipe/face_detection 0.4.1657300184",
        "licence": "Apache-2.0",
        "meanings": {
            "input": "letterboxed photo, sRGB, -1 to 1",
            "reshaped_regressor_face_4": "per anchor: box centre and size, six keypoints, in input pixels relative to "
            "the anchor",
            "reshaped_classifier_face_4": "per anchor: score logit",
        },
    },
    "landmarks": {
        "path": "face_mesh_478.onnx",
        "origin": "Face Mesh with attention, MediaPipe 0.10.21",
        "licence": "Apache-2.0",
        "meanings": {
            "input_1": "rotated square crop of the face, sRGB, 0 to 1",
            "landmarks": "x, y, z per point in crop pixels; z smaller towards the camera",
            "face_flag_logit": "logit of a face being in the crop",
        },
    },
    "recogniser": {
        "path": "recogniser.onnx",
        "origin": "dlib face recognition ResNet v1, face_recognition_models 0.3.0",
        "licence": "CC0-1.0",
        "meanings": {
            "image": "aligned chip, sRGB, 0 to 1",
            "descriptor": "face embedding, compared by Euclidean distance, not normalised",
        },
    },
}
"""Networks by the name under which the manifest refers to them."""

FACE: dict[str, Any] = {
    "detectors": [
        {
            "network": "detector_short",
            "boxes": "regressors",
            "scores": "classificators",
            "input_range": [-1.0, 1.0],
            "strides": [8, 16, 16, 16],
            "anchors_per_cell": 2,
            "score_threshold": 0.5,
            "merge_iou": 0.3,
        },
        {
            "network": "detector_full",
            "boxes": "reshaped_regressor_face_4",
            "scores": "reshaped_classifier_face_4",
            "input_range": [-1.0, 1.0],
            "strides": [4],
            "anchors_per_cell": 1,
            "score_threshold": 0.5,
            "merge_iou": 0.3,
        },
    ],
    "landmarks": {
        "network": "landmarks",
        "points": "landmarks",
        "presence": "face_flag_logit",
        "input_range": [0.0, 1.0],
        "presence_threshold": 0.9,
        "max_keypoint_distance": 0.28,
        "crop_scale": 1.5,
        "box_points": 468,
        "index": {
            "right_eye_outer": 33,
            "right_eye_inner": 133,
            "left_eye_inner": 362,
            "left_eye_outer": 263,
            "nose_tip": 1,
            "upper_lip": 13,
            "lower_lip": 14,
            "forehead": 10,
            "chin": 152,
        },
    },
    "identity": {
        "network": "recogniser",
        "embedding": "descriptor",
        "input_range": [0.0, 1.0],
        "same_person_distance": 0.6,
        "chip": {
            "padding": PADDING,
            "landmarks": list(TEMPLATE_LANDMARKS),
            "points": [list(map(float, point)) for point in TEMPLATE],
        },
    },
    "reliable": {"min_face_height": 60.0, "min_sharpness": 0.075, "max_yaw": 35.0, "max_pitch": 30.0},
}
"""The rules: MediaPipe's and dlib's own, and what was measured for them (see the model card)."""


def write_manifest(bundle: Path) -> Path:
    """Writes the front-end's part of `bundle/bundle.json`, keeping the other parts of an existing manifest."""
    path = bundle / MANIFEST
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "id": "base",
        "version": "0.1.0",
        "licence": "Apache-2.0 AND CC0-1.0",
        "networks": {},
    }
    if path.exists():
        manifest |= json.loads(path.read_text())
    manifest["format"] = FORMAT
    manifest["networks"] |= {name: _network(bundle, entry) for name, entry in NETWORKS.items()}
    manifest["face"] = FACE
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(partial, path)
    return path


def _network(bundle: Path, entry: dict[str, Any]) -> dict[str, Any]:
    data = (bundle / entry["path"]).read_bytes()
    graph = onnx.load_from_string(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    return {
        "file": {"path": entry["path"], "bytes": len(data), "sha256": sha256(data)},
        "origin": entry["origin"],
        "licence": entry["licence"],
        "inputs": [_tensor(value, entry["meanings"]) for value in inputs],
        "outputs": [_tensor(value, entry["meanings"]) for value in graph.output],
    }


def _tensor(value: onnx.ValueInfoProto, meanings: dict[str, str]) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": DTYPES[tensor.elem_type],
        "shape": [axis.dim_value or BATCH for axis in tensor.shape.dim],
        "meaning": meanings[value.name],
    }
