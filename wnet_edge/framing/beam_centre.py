"""Beam centre on the detector, by cross-correlating the mean frame with the probe's far field.

The mean frame of a scan is nearly the far field of the probe, evenly blurred by the sample; the
centre is where the two correlate best, to a whole pixel. On scan 247 of 26-ID four frames are
enough for the right pixel, and the correlation with the mean of many frames is 0.99.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.orientation import Orientation, orient

CONVINCING = 0.5
"""Least correlation at which a found centre is accepted. Scan 247 on larger detectors gives 0.99,
in a wrong orientation 0.92, with 1,000 photons per frame 0.7, with a gap over a quarter of it 0.6;
blobs, rings, ramps, noise and another instrument's probe stay below 0.4."""
_LEAST_VARIANCE = 1e-6
"""Relative to the largest variance; less is the rounding error of the Fourier transforms."""


@dataclass(frozen=True)
class BeamCentre:
    """Position of zero frequency found on the detector.

    Attributes:
        centre_px: row, column in the mean frame.
        agreement: normalised cross-correlation there, at most 1; 0 if nothing can be compared.
    """

    centre_px: tuple[int, int]
    agreement: float


def find_beam_centre(
    mean: NDArray[np.float32],
    mask: NDArray[np.bool_],
    far_field_intensity: NDArray[np.float32],
    orientation: Orientation,
) -> BeamCentre:
    """Find the beam centre by masked normalised cross-correlation with the probe's far field.

    At each shift only the valid pixels under the far field are compared, so that neither the rest
    of a large detector nor its gaps and beamstop count (Padfield, IEEE Trans. Image Process. 21,
    2706, 2012, eq. 12); but the far field's norm is that of all its pixels, so that a shift at
    which most of it is masked does not correlate by chance. Square roots are compared, so that the
    brightest speckles do not dominate.

    Args:
        mean: (H, W) float32, mean frame.
        mask: (H, W) bool, True for pixels not to use.
        far_field_intensity: (n, n) float32, of the probe.
        orientation: orientation that takes the frame to the probe's axes; its inverse is applied
            to the far field here.
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
    """Smallest FFT length ≥ `least` with no prime factors but 2, 3 and 5."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
