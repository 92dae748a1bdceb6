"""Preview picture of a scan: mean frame, positions and probe side by side.

Shows the content of a file before inference; missing parts are marked as missing. Pillow is
imported inside the functions. All lengths are in pixels of the picture.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.frame_panel import frame_panel
from wnet_edge.pictures.panel import Panel, empty_panel
from wnet_edge.pictures.panel_row import draw_panels, write_panels
from wnet_edge.pictures.positions_panel import positions_panel
from wnet_edge.pictures.probe_panel import probe_panel

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class ScanParts:
    """Content of the picture; None for parts that the file lacks.

    Attributes:
        title: one line above.
        captions: small lines below.
        mean: (H, W) float32, mean counts per frame.
        mask: (H, W) bool, True for pixels that are not used; given with `mean`.
        beam_centre_px: row, column of zero frequency in the frames.
        positions: (N, 2) float64 row, column.
        positions_in_metres: whether positions are in metres, else in object pixels.
        probe: (modes, h, w) complex64.
        probe_pixel_size_m: edge of a pixel of the probe.
    """

    title: str
    captions: tuple[str, ...] = ()
    mean: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    beam_centre_px: tuple[float, float] | None = None
    positions: NDArray[np.float64] | None = None
    positions_in_metres: bool = True
    probe: NDArray[np.complex64] | None = None
    probe_pixel_size_m: float | None = None


def write_scan_picture(path: Path, parts: ScanParts, *, force: bool = False) -> None:
    """Write the picture as a PNG, atomically.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
    """
    write_panels(draw_scan_picture(parts), path, force=force)


def draw_scan_picture(parts: ScanParts) -> "Image.Image":
    """Draw the parts side by side as an RGB picture."""
    return draw_panels(parts.title, parts.captions, _panels(parts))


def _panels(parts: ScanParts) -> tuple[Panel, Panel, Panel]:
    frame, path, probe = "Mean frame (counts, logarithmic)", "Positions (colour: frame)", "Probe"
    panels = [
        empty_panel(frame, "no frames in this file"),
        empty_panel(path, "no positions in this file"),
        empty_panel(probe, "no probe in this file"),
    ]
    if parts.mean is not None:
        mask = np.zeros(parts.mean.shape, np.bool_) if parts.mask is None else parts.mask
        panels[0] = frame_panel(frame, parts.mean, mask, parts.beam_centre_px)
    if parts.positions is not None and len(parts.positions):
        panels[1] = positions_panel(path, parts.positions, metres=parts.positions_in_metres)
    if parts.probe is not None and parts.probe.size:
        heading = f"{probe} (brightness: amplitude, colour: phase in rad)"
        panels[2] = probe_panel(heading, parts.probe, parts.probe_pixel_size_m)
    return panels[0], panels[1], panels[2]
