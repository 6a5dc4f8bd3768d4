"""The four face networks of the model bundle: where they come from, how they become ONNX, and what they compute.

Conversion (needs `onnx`, `flatbuffers`, `tflite`, `numpy`)::

    sources, fetch          pinned packages and files; download, extract, check
    tflite_model            TFLite flatbuffer -> plain data
    tflite_conversion       state of one TFLite -> ONNX conversion
    tflite_ops              one rule per built-in operator
    attention_ops           one rule per custom operator of the attention mesh
    landmark_merge          seven outputs of the attention mesh -> 478 landmarks and a presence logit
    tflite_onnx             TFLite -> ONNX, all of the above together
    dlib_stream, dlib_model dlib's serialisation -> plain data
    dlib_onnx               dlib's recognition network -> ONNX
    fp16_storage            weights stored as float16, computed as float32
    canonical_mesh          MediaPipe's canonical face mesh
    build, checksums        the files of the bundle and their SHA-256
    manifest                the front-end's part of the bundle's manifest

Reference of the face front-end (needs `onnxruntime`, `numpy`, `pillow`)::

    warp, session           bilinear sampling, box filter; network sessions
    detector                photo -> boxes and keypoints
    landmarks               photo and region -> 478 points
    chip, identity          points -> aligned 150x150 chip -> 128-D descriptor
    photos                  the two test photos
    reference               all of the above on the test photos, as JSON

`python -m face_nets --help` lists the commands.
"""
