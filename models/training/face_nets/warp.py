"""Image resampling of the face front-end: bilinear warp and box filter.

Positions are pixel indices: (0, 0) is the centre of the top left pixel, x goes right, y goes down. Images are
[height, width, channels] in any number type; results are float64 in the same range.
"""

import numpy as np


def warp(image: np.ndarray, transform: np.ndarray, width: int, height: int, *, replicate: bool) -> np.ndarray:
    """Samples `image` bilinearly: output pixel (x, y) is the image at `transform` @ (x, y, 1).

    `transform` is [2, 3] and maps output pixels to image pixels. Beyond the border the image is 0 or, with
    `replicate`, its nearest border pixel. Nothing is filtered beforehand. Returns [height, width, channels].
    """
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x = transform[0, 0] * columns + transform[0, 1] * rows + transform[0, 2]
    y = transform[1, 0] * columns + transform[1, 1] * rows + transform[1, 2]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]

    def pixels(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        last_row, last_column = image.shape[0] - 1, image.shape[1] - 1
        values = image[np.clip(row, 0, last_row), np.clip(column, 0, last_column)].astype(np.float64)
        if replicate:
            return values
        inside = (row >= 0) & (row <= last_row) & (column >= 0) & (column <= last_column)
        return values * inside[..., None]

    upper = pixels(top, left) * (1 - right_share) + pixels(top, left + 1) * right_share
    lower = pixels(top + 1, left) * (1 - right_share) + pixels(top + 1, left + 1) * right_share
    return upper * (1 - bottom_share) + lower * bottom_share


def box_filter(image: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks by a whole factor: each output pixel is the mean of factor x factor pixels.

    Rows and columns that fill no whole square are dropped at the bottom and at the right.
    """
    height, width = image.shape[0] // factor, image.shape[1] // factor
    squares = image[: height * factor, : width * factor].astype(np.float64)
    return squares.reshape(height, factor, width, factor, -1).mean((1, 3))


def after_box_filter(transform: np.ndarray, factor: int) -> np.ndarray:
    """The [2, 3] transform into `image` as one into `box_filter(image, factor)`, pixel centres kept in place."""
    shrunk = transform / factor
    shrunk[:, 2] += 0.5 / factor - 0.5
    return shrunk


def network_input(pixels: np.ndarray) -> np.ndarray:
    """[height, width, 3] in the network's range as its float32 input [1, 3, height, width]."""
    return np.ascontiguousarray(pixels.astype(np.float32).transpose(2, 0, 1)[None])


def sigmoid(logits: np.ndarray, limit: float = np.inf) -> np.ndarray:
    """Logistic function of the logits, clipped to +-`limit` beforehand."""
    return 1 / (1 + np.exp(-np.clip(logits, -limit, limit)))
