"""Run settings of a package: requested options, and the complete settings of a session.

The command line may leave everything open; a session needs precision, provider, threads and batch
size.
"""

from dataclasses import dataclass

from wnet_edge.package.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.runner.graph.providers import Provider

BATCH_SIZE = 32
"""Default batch size, without a user option or a tuning record."""

MAX_THREADS = 512
"""Limit on CPU threads; ONNX Runtime starts all at once, and thousands take minutes or exceed the
user's limit."""


@dataclass(frozen=True)
class RunnerOptions:
    """Requested run options; None is filled from the tuning record, else with a safe default.

    Attributes:
        precision: precision of the graph.
        provider: execution provider. AUTO takes the best that works; any other is used as given,
            and if it is unavailable the run fails.
        threads: number of CPU threads; 0: one per core.
        batch_size: frames per batch; ignored if the package has a fixed batch size.
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
    """Complete run settings of a graph.

    Attributes:
        precision: precision of the graph.
        provider: any but AUTO.
        threads: number of CPU threads; 0: one per core.
        batch_size: frames per batch; ignored if the package has a fixed batch size.
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
        """Whether these settings agree with every option that is given."""
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
