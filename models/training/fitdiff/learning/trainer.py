"""The loop that every training runs in: progress, checkpoints, interruption, resumption, and plain error messages."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from fitdiff.learning.checkpoint import load_checkpoint, save_checkpoint
from fitdiff.learning.data import prefetched
from fitdiff.learning.errors import RecipeError

REPORT_EVERY = 20
"""Steps between two updates of the losses on the progress bar (reading them waits for the GPU)."""


class Training(Protocol):
    """What `run_training` drives."""

    kind: str
    digest: str
    steps: int
    checkpoint_every: int

    def load_batch(self, step: int) -> Any:
        """Fetch a step's data; called ahead of time on another thread, must depend on the step's number alone."""

    def train_step(self, step: int, batch: Any) -> dict[str, Tensor]:
        """Do one step; return its losses as scalars."""

    def state_dict(self) -> dict:
        """Everything a later `load_state_dict` needs to continue exactly."""

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict`'s result."""


@dataclass(frozen=True)
class Runtime:
    """Where and how tensors are computed."""

    device: torch.device
    mixed: bool
    """bfloat16 autocast, where the device computes in bfloat16."""

    @classmethod
    def choose(cls, name: str) -> Runtime:
        """`cpu`, `cuda`, or `auto` for CUDA where there is one."""
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda":
            if not torch.cuda.is_available():
                raise RecipeError("no CUDA device is available to PyTorch; use --device cpu")
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        return cls(torch.device(name), mixed=name == "cuda" or _cpu_computes_bfloat16())

    def autocast(self) -> torch.autocast:
        """Context in which networks run."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed)

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, in the memory layout that is fastest there."""
        return network.to(self.device, memory_format=torch.channels_last)


def _cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (elsewhere autocast would be slower than float32)."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def step_generator(seed: int, step: int) -> torch.Generator:
    """Random generator of one step, on the CPU so that every device sees the same numbers."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) & 0x7FFF_FFFF_FFFF_FFFF)


def learning_rate(peak: float, step: int, warmup: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def run_training(training: Training, path: Path, title: str) -> None:
    """Train from the checkpoint at `path`, or from the start, up to the last step.

    The first Ctrl-C (or SIGTERM) ends the step that is running, writes a checkpoint and raises KeyboardInterrupt; a
    second one stops at once.

    Raises:
        RecipeError: the loss is no longer finite, memory or disk ran out, or the checkpoint is of no use.
    """
    state = load_checkpoint(path, training.kind, training.digest)
    start = 0
    if state is not None:
        start = state["step"]
        training.load_state_dict(state["training"])

    def save(step: int) -> None:
        save_checkpoint(path, training.kind, training.digest, {"step": step, "training": training.state_dict()})

    if start >= training.steps:
        return
    with _memory_errors(), _interruption() as interrupted:
        batches = prefetched(training.load_batch, start, training.steps)
        bar = tqdm(total=training.steps, initial=start, desc=title, unit="step", dynamic_ncols=True)
        try:
            for step, batch in zip(range(start, training.steps), batches, strict=True):
                losses = training.train_step(step, batch)
                bar.update()
                if step % REPORT_EVERY == 0 or step + 1 == training.steps:
                    values = {name: float(value) for name, value in losses.items()}
                    if not all(math.isfinite(value) for value in values.values()):
                        raise RecipeError(
                            f"{title}: the loss is not finite at step {step} ({values}); the last checkpoint is kept: "
                            "lower the learning rate and start again"
                        )
                    bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()})
                if interrupted():
                    save(step + 1)
                    raise KeyboardInterrupt
                if (step + 1) % training.checkpoint_every == 0 or step + 1 == training.steps:
                    save(step + 1)
        finally:
            bar.close()
            batches.close()


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn PyTorch's and Python's ways of running out of memory into one message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
            raise RecipeError(f"out of memory; lower `batch` in the configuration ({text.splitlines()[0]})") from error
        raise


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Collect SIGINT and SIGTERM; yields a function that tells whether one has come."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    seen = threading.Event()

    def note(number: int, frame: object) -> None:
        if seen.is_set():
            raise KeyboardInterrupt
        seen.set()

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
