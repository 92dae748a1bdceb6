"""How a package is run: what was asked for, and what was settled on.

Between the command line, which may leave everything open, and a session, which may not.
"""

from dataclasses import dataclass

from wnet_edge.package.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.runner.graph.providers import Provider

BATCH_SIZE = 32
"""Frames run at once where nobody says otherwise and nothing was measured."""

MAX_THREADS = 512
"""ONNX Runtime starts them all at once: thousands take minutes, or all that a user may have."""


@dataclass(frozen=True)
class RunnerOptions:
    """What is asked of a run; None leaves it to what was measured here, else to a safe default.

    Attributes:
        precision: of the graph.
        provider: AUTO takes the best that works; any other is had or refused.
        threads: of the processor; 0 leaves the number to ONNX Runtime, one a core.
        batch_size: frames run at once, where the package leaves it open.
    """

    precision: Precision | None = None
    provider: Provider = Provider.AUTO
    threads: int | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        threads = 0 if self.threads is None else self.threads
        _check_numbers(threads, BATCH_SIZE if self.batch_size is None else self.batch_size)


@dataclass(frozen=True)
class RunSettings:
    """How a graph is run, with nothing left open.

    Attributes:
        precision: of the graph.
        provider: any but AUTO.
        threads: of the processor; 0 leaves the number to ONNX Runtime, one a core.
        batch_size: frames run at once, where the package leaves it open.
    """

    precision: Precision
    provider: Provider
    threads: int = 0
    batch_size: int = BATCH_SIZE

    def __post_init__(self) -> None:
        if self.provider is Provider.AUTO:
            raise ValueError("provider is auto")
        _check_numbers(self.threads, self.batch_size)

    def fits(self, options: RunnerOptions) -> bool:
        """Whether it is one of those that `options` leave open."""
        return (
            options.precision in (None, self.precision)
            and options.provider in (Provider.AUTO, self.provider)
            and options.threads in (None, self.threads)
            and options.batch_size in (None, self.batch_size)
        )


def _check_numbers(threads: int, batch_size: int) -> None:
    if not 0 <= threads <= MAX_THREADS:
        raise ValueError(f"threads is {threads}, not within 0 … {MAX_THREADS}")
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise ValueError(f"batch_size is {batch_size}, not within 1 … {MAX_BATCH_SIZE}")
