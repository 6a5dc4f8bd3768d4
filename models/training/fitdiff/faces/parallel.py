"""Long work over processes, and the line on stderr that shows how far it is."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

Worker = TypeVar("Worker")
Result = TypeVar("Result")


def run_tasks(
    make: Callable[[], Worker], method: Callable[..., Result], tasks: Sequence[tuple], processes: int = 0
) -> Iterator[Result]:
    """Yield ``method(worker, *task)`` of every task, in the order in which they end.

    Args:
        make: builds the worker, once per process; with several processes it must be picklable, as must ``method``.
        processes: number of worker processes, 0 for one per core; one works in this process.
    """
    workers = min(processes or os.cpu_count() or 1, len(tasks))
    if workers == 0:
        return
    if workers == 1:
        worker = make()
        for task in tasks:
            yield method(worker, *task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(make,)) as pool:
        futures = [pool.submit(_call, method, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_worker: Any = None


def _start(make: Callable[[], Any]) -> None:
    global _worker
    _worker = make()


def _call(method: Callable[..., Any], task: tuple) -> Any:
    return method(_worker, *task)


class Progress:
    """One line on stderr: bar, people per second, time left."""

    def __init__(self, total: int, done: int, unit: str, people_per_unit: int = 1, quiet: bool = False):
        self.total, self.done, self.start_done = total, done, done
        self.unit, self.people = unit, people_per_unit
        self.quiet = quiet
        self.start = time.monotonic()
        self._show()

    def advance(self) -> None:
        """Count one more unit."""
        self.done += 1
        self._show()

    def finish(self) -> None:
        """End the line."""
        if not self.quiet:
            print(file=sys.stderr)

    def _show(self) -> None:
        if self.quiet:
            return
        elapsed = max(time.monotonic() - self.start, 1e-6)
        rate = (self.done - self.start_done) / elapsed
        left = f"{(self.total - self.done) / rate / 60:.1f} min left" if rate else "…"
        bar = "#" * (30 * self.done // max(self.total, 1))
        text = f"[{bar:<30}] {self.done}/{self.total} {self.unit}, {rate * self.people:.1f} people/s, {left}"
        print(f"\r{text:<90}", end="", file=sys.stderr, flush=True)
