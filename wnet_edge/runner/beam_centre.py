"""Where on the detector the undiffracted beam lies, found by the probe that a package knows.

The mean frame of a scan is, nearly, the far field of the probe: the sample blurs it evenly. So the
far field is laid over the mean frame where the two agree best, to a whole pixel. On scan 247 of
26-ID four frames are enough for the right pixel, and the mean of many agrees to 0.99.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.orientation import Orientation, orient

CONVINCING = 0.75
"""Agreement from which a found centre is believed; on scan 247 a wrong way up still gives 0.9, the
far field of another instrument's probe less."""


@dataclass(frozen=True)
class BeamCentre:
    """Where zero frequency was found.

    Attributes:
        centre_px: row, column in the mean frame.
        agreement: normalised cross-correlation there, 1 at most.
    """

    centre_px: tuple[int, int]
    agreement: float


def find_beam_centre(
    mean: NDArray[np.float32], far_field_intensity: NDArray[np.float32], orientation: Orientation
) -> BeamCentre:
    """Lay the far field (n, n) over the mean frame (H, W), zero where masked.

    `orientation` is what turns the frame to the probe's sense; here the far field is turned the
    other way. Square roots are compared, so that the brightest speckles don't decide alone.
    """
    template = np.sqrt(orient(far_field_intensity, orientation.inverse))
    image = np.sqrt(mean)
    template -= template.mean()
    image -= image.mean()
    shape = [h + n for h, n in zip(image.shape, template.shape, strict=True)]
    product = np.fft.rfft2(image, shape) * np.conj(np.fft.rfft2(template, shape))
    agreement = np.fft.irfft2(product, shape)
    peak = np.unravel_index(int(agreement.argmax()), agreement.shape)
    start = [
        int(at) if at < h else int(at) - whole
        for at, h, whole in zip(peak, image.shape, shape, strict=True)
    ]
    half = template.shape[0] // 2
    power = float(np.sqrt(np.sum(image**2, dtype=np.float64) * np.sum(template**2)))
    best = float(agreement.max()) / power if power > 0 else 0.0
    return BeamCentre((start[0] + half, start[1] + half), best)
