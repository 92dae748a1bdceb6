"""PtychoNN's own stitching: the centres of the patches laid side by side, averaged where they meet.

Cherukara et al., Appl. Phys. Lett. 117, 044103 (2020): the central 12 × 12 pixels of each patch, as
the network gives them; amplitude and phase averaged apart, no phase recovered.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.physics.geometry import central_window_start_px

CENTRE_PX = 12


def stitch_centres(
    amplitude: NDArray[np.float32],
    phase_rad: NDArray[np.float32],
    positions_px: NDArray[np.float64],
    pixel_size_m: float,
) -> ObjectImage:
    """Patches (N, n, n) at positions (N, 2), to whole pixels, to one image with its counts."""
    start = central_window_start_px(amplitude.shape[-1], CENTRE_PX)
    centre = slice(start, start + CENTRE_PX)
    corners = np.rint(positions_px - positions_px.min(axis=0)).astype(np.int64)
    height, width = (corners.max(axis=0) + CENTRE_PX).tolist()
    total = np.zeros((3, height, width), dtype=np.float32)
    for index, (row, column) in enumerate(corners.tolist()):
        spot = total[:, row : row + CENTRE_PX, column : column + CENTRE_PX]
        spot += np.stack(
            [
                amplitude[index, centre, centre],
                phase_rad[index, centre, centre],
                np.ones((CENTRE_PX, CENTRE_PX), np.float32),
            ]
        )
    modulus, phase, count = total
    covered = np.maximum(count, 1)
    image = (modulus / covered) * np.exp(1j * phase / covered)
    return ObjectImage("centres", image.astype(np.complex64), count, pixel_size_m)
