"""What a running scan looks like at one moment: for a page, for PVs, for the terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wnet_edge.live.source import Loss


@dataclass(frozen=True, eq=False)
class LastFrame:
    """The frame that was processed last, with its patch.

    Attributes:
        number: of the frame.
        counts: (h, w) float32 as the network saw them; negative where masked.
        phase_rad: (h, w) float32, its patch.
    """

    number: int
    counts: NDArray[np.float32]
    phase_rad: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The image so far, and how the scan goes.

    Attributes:
        scan: its name.
        image: (H, W) complex64, zero where no frame lies.
        coverage: (H, W) float32, summed illumination weight.
        pixel_size_m: edge of a pixel.
        origin_px: (2,) row, column of the object on which the image begins; it grows both ways.
        windows_px: (N, 2) row, column of the image on which the window of each frame that went
            through the network begins.
        window_px: edge of these windows.
        frame_numbers: (N,) int64, these frames' numbers.
        kept: (h, w) float32 counts of some of them by their place in `frame_numbers`, evenly
            spread; negative where masked.
        received: frames received.
        processed: frames in the image.
        lost: frames lost, by reason.
        expected: frames to come in all; None if unknown.
        queue_depth: frames that wait.
        frames_per_second: processed, over the last seconds, or over the whole scan once it has
            ended; likewise the latencies.
        latency_p50_s: median time from publication, or else reception, to the image.
        latency_p99_s: 99th percentile of it.
        r_factor: of the image with its frames; None until some could be compared.
        trusted: the verdict; None where it is unknown.
        verdict: in a line.
        warnings: for the user, one line each.
        package: name of the package.
        precision: of the graph.
        provider: that runs it.
        ended: why the scan has ended; None while it runs.
        last: frame that was processed last; None before the first.
    """

    scan: str
    image: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    pixel_size_m: float
    origin_px: tuple[int, int]
    windows_px: NDArray[np.float64]
    window_px: int
    frame_numbers: NDArray[np.int64]
    kept: Mapping[int, NDArray[np.float32]]
    received: int
    processed: int
    lost: Mapping[Loss, int] = field(default_factory=dict)
    expected: int | None = None
    queue_depth: int = 0
    frames_per_second: float = 0.0
    latency_p50_s: float = 0.0
    latency_p99_s: float = 0.0
    r_factor: float | None = None
    trusted: bool | None = None
    verdict: str = ""
    warnings: tuple[str, ...] = ()
    package: str = ""
    precision: str = ""
    provider: str = ""
    ended: str | None = None
    last: LastFrame | None = None

    @cached_property
    def phase(self) -> NDArray[np.float32]:
        """(H, W) float32 rad, NaN where no frame lies."""
        return np.where(self.coverage > 0, np.angle(self.image), np.float32(np.nan))

    @cached_property
    def amplitude(self) -> NDArray[np.float32]:
        """(H, W) float32, NaN where no frame lies."""
        return np.where(self.coverage > 0, np.abs(self.image), np.float32(np.nan))


Viewer = Callable[[Snapshot], None]
"""Shows a look at a running scan; returns at once, and may leave looks out."""
