"""Where on the detector the undiffracted beam lies, found by the probe that a package knows.

The mean frame of a scan is, nearly, the far field of the probe: the sample blurs it evenly. So the
far field is laid over the mean frame where the two agree best, to a whole pixel. On scan 247 of
26-ID four frames are enough for the right pixel, and the mean of many agrees to 0.99.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.orientation import Orientation, orient

CONVINCING = 0.5
"""Agreement from which a found centre is believed. Scan 247 on larger detectors gives 0.99, the
wrong way up 0.92, of 1,000 photons a frame 0.7, behind a gap over a quarter of it 0.6; blobs,
rings, ramps, noise and another instrument's probe stay below 0.4."""
_LEAST_VARIANCE = 1e-6
"""Of the largest: what the Fourier transforms leave of a dark part of the detector is rounding."""


@dataclass(frozen=True)
class BeamCentre:
    """Where zero frequency was found.

    Attributes:
        centre_px: row, column in the mean frame.
        agreement: normalised cross-correlation there, 1 at most; 0 where nothing can be compared.
    """

    centre_px: tuple[int, int]
    agreement: float


def find_beam_centre(
    mean: NDArray[np.float32],
    mask: NDArray[np.bool_],
    far_field_intensity: NDArray[np.float32],
    orientation: Orientation,
) -> BeamCentre:
    """Lay the far field (n, n) over the mean frame (H, W), of which `mask` is not used.

    At each place the two are compared over the pixels in use under the far field alone, so that
    neither the rest of a large detector nor its gaps and beamstop count (normalised
    cross-correlation with a mask: Padfield, IEEE Trans. Image Process. 21, 2706, 2012, eq. 12); but
    the far field's norm is that of all of it, so that a place where most of it can't be seen does
    not agree by chance.
    Square roots are compared, so that the brightest speckles don't decide alone. `orientation` is
    what turns the frame to the probe's sense; here the far field is turned the other way.
    """
    template = np.sqrt(orient(far_field_intensity, orientation.inverse), dtype=np.float64)
    used = (~mask).astype(np.float64)
    image = np.sqrt(mean * used)
    shape = [_fast_length(h + n - 1) for h, n in zip(image.shape, template.shape, strict=True)]

    def transformed(values: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.fft.rfft2(values, shape)

    def under(
        values: NDArray[np.complex128], weight: NDArray[np.complex128]
    ) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = np.fft.irfft2(values * weight.conj(), shape)
        return summed

    pixels, light, power = (transformed(values) for values in (used, image, image**2))
    box, shade = transformed(np.ones_like(template)), transformed(template)
    count = np.maximum(np.rint(under(pixels, box)), 1)
    light_sum = under(light, box)
    covariance = under(light, shade) - light_sum * under(pixels, shade) / count
    variance = under(power, box) - light_sum**2 / count
    comparable = variance > _LEAST_VARIANCE * variance.max()
    norm = np.sqrt(np.where(comparable, variance, 1) * template.size) * template.std()
    agreement = np.where(comparable, covariance, 0) / np.maximum(norm, np.finfo(float).tiny)
    peak = np.unravel_index(int(agreement.argmax()), agreement.shape)
    half = template.shape[0] // 2
    row, column = (
        (int(at) if at < height else int(at) - whole) + half
        for at, height, whole in zip(peak, image.shape, shape, strict=True)
    )
    return BeamCentre((row, column), float(agreement[peak]))


def _fast_length(least: int) -> int:
    """The next product of 2, 3 and 5: a Fourier transform of a prime length takes far longer."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
