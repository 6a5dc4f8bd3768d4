"""The data set as training sees it: maps in the network encoding, shape codes and chips by identity index."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fitdiff.faces.dataset import ATTRIBUTES, complete_shards, load_masks, load_shard, load_spec
from fitdiff.learning.errors import RecipeError

T = TypeVar("T")


class FaceData:
    """A complete data set folder; arrays stay memory-mapped.

    Attributes:
        size: side S of the maps.
        chart, skin, face: masks, bool [S,S].
        shapes: whitened shape coefficients, float32 [N,K].
        attributes: structured array [N] of `fitdiff.faces.dataset.ATTRIBUTES`.
    """

    def __init__(self, folder: Path) -> None:
        spec = load_spec(folder)
        found = complete_shards(folder)
        if len(found) != spec.shard_count:
            raise RecipeError(
                f"{folder} holds {len(found)} of {spec.shard_count} shards; "
                "run the data generation again to complete it"
            )
        masks = load_masks(folder)
        shards = [load_shard(folder, index) for index in found]
        self.folder = Path(folder)
        self.size = spec.map_size
        self.chart, self.skin, self.face = masks["chart"], masks["skin"], masks["face"]
        self.shapes = np.concatenate([np.asarray(shard.shape) for shard in shards]).astype(np.float32)
        self.attributes = np.concatenate([np.asarray(shard.attributes) for shard in shards]).astype(ATTRIBUTES)
        self.chips_per_identity = spec.chips
        self._shards = shards
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])

    def __len__(self) -> int:
        return len(self.shapes)

    def _gather(self, field: str, indices: np.ndarray) -> np.ndarray:
        rows = []
        for index in indices:
            shard = int(np.searchsorted(self._starts, index, side="right")) - 1
            rows.append(getattr(self._shards[shard], field)[index - self._starts[shard]])
        return np.stack(rows)

    def map_bytes(self, indices: np.ndarray) -> Tensor:
        """Stored maps, uint8 [B,6,S,S]."""
        return torch.from_numpy(self._gather("maps", indices))

    def chips(self, indices: np.ndarray) -> np.ndarray:
        """Aligned chips, uint8 [B,C,150,150,3], sRGB."""
        return self._gather("chips", indices)


def to_network(map_bytes: Tensor, chart: Tensor) -> Tensor:
    """Stored maps uint8 [B,6,S,S] to the network encoding, float32 in [-1,1], zero outside of the chart [S,S]."""
    values = map_bytes.float()
    encoded = torch.cat([values[:, :4] / 127.5 - 1, (values[:, 4:] - 128) / 127], dim=1)
    return encoded * chart


class BatchOrder:
    """Which identities each step trains on: every epoch is a seeded permutation, so a step's batch depends on its
    number alone and a resumed training sees what an uninterrupted one sees."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, min(batch, count), seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __call__(self, step: int) -> np.ndarray:
        """Identity indices [B] of a step."""
        per_epoch = self.count // self.batch
        epoch, position = divmod(step, per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return self._order[position * self.batch : (position + 1) * self.batch]


def prefetched(make: Callable[[int], T], first: int, last: int, depth: int = 3) -> Iterator[T]:
    """Yield `make(step)` for each step in [first, last), made ahead on a thread of its own."""
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in range(first, last):
                if stop.is_set():
                    return
                put((make(step), None))
        except BaseException as error:  # handed to the consumer, which raises it
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in range(first, last):
            item, error = ready.get()
            if error is not None:
                raise error
            yield item
    finally:
        stop.set()
        thread.join()
