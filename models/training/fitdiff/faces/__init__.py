"""Synthetic faces: parametric heads, biophysical skin maps and rendered selfies.

Everything is computed from MakeHuman's CC0 base mesh and morph targets. One integer seed gives one
person. Start with :class:`fitdiff.faces.generator.FaceGenerator`; the files for training are
described in :mod:`fitdiff.faces.dataset`, the head for the runtime in
:mod:`fitdiff.faces.template`.
"""
