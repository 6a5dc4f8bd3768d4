"""Colours of human irises."""

import numpy as np

IRIS_COLOURS = np.array(
    [(0.030, 0.014, 0.007), (0.055, 0.026, 0.011), (0.10, 0.052, 0.021), (0.15, 0.095, 0.038),
     (0.12, 0.105, 0.050), (0.085, 0.105, 0.068), (0.085, 0.125, 0.155), (0.115, 0.155, 0.195), (0.115, 0.13, 0.14)]
)  # fmt: skip
"""Linear RGB from dark brown over hazel and green to blue and grey."""
