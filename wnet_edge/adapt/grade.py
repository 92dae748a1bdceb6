"""The worth of a package on the scan that it was made for: good, usable, or not, and what to do.

By the criteria of the self-check (`wnet_edge.runner.image.verdict`), whose limits simulated scans
have shown, of the network's image as it is, and after passes of refinement.
"""

from wnet_edge.package.manifest import FrameFit, Grade
from wnet_edge.runner.image.verdict import CONTRAST_RANGE, explains, too_noisy

SMOOTH_BELOW = 15.0
"""Space-bandwidth product of a probe below which one frame tells little of its patch: a focus or a
pinhole has 2, a zone plate 40 µm out of focus 20, one that is far out of focus 100 and more."""

_HARDLY = 0.2
"""Explained fraction below which an image has little to do with its frames."""

SHORT = (
    "the network was trained too briefly for this probe; give more --minutes, or a machine with "
    "more cores"
)
WRONG = (
    "the frames are not explained: most likely the orientation of the detector or of the position "
    "axes is wrong (wnet-edge infer SCAN --package FILE.wnet --orientation auto "
    "--position-orientation auto), or positions, pixel size or probe are"
)
SMALL = "no frame's whole probe lies on the image, which can't be checked; scan a larger field"
NOISE = "the frames hold too few counts to tell; expose longer"
SMOOTH = (
    "the probe has little structure, so that one frame tells little of its patch: a diffuser, or "
    "the sample further out of focus, would help more than training"
)
LIT = (
    "even the darkest pixels of the frames are lit, which no image explains: subtract the "
    "background, or shield the detector from stray light"
)
REFINED = "the image is good after refinement only: wnet-edge infer --refine {passes}"


def grade_of(
    image: FrameFit | None,
    refined: FrameFit | None,
    passes: int,
    space_bandwidth: float,
    *,
    lit: bool = False,
) -> tuple[Grade, str | None]:
    """Grade, and why it is no better, with what to do.

    Args:
        image: R-factors of the network's image; None if no frame could be compared.
        refined: likewise, after refinement.
        passes: of the refinement.
        space_bandwidth: of the probe.
        lit: whether the frames have a background, which passes put into the image.
    """
    smooth = space_bandwidth < SMOOTH_BELOW
    if image is None or refined is None:
        return Grade.NOT_USABLE, SMALL
    if too_noisy(image):
        return Grade.USABLE, NOISE
    if explains(image):
        return Grade.GOOD, None
    if lit:
        return Grade.NOT_USABLE, LIT
    if explains(refined):
        how = REFINED.format(passes=passes)
        return Grade.USABLE, f"{how}; {SMOOTH}" if smooth else how
    flat = image.contrast < CONTRAST_RANGE[0]
    hardly = max(image.explained, refined.explained) < _HARDLY
    if hardly and not flat:
        return Grade.NOT_USABLE, WRONG
    return Grade.NOT_USABLE, SMOOTH if smooth else SHORT
