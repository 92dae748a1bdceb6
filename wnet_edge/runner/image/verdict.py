"""Verdict on an image, trusted or not, from how well it explains its own frames.

Three criteria, all from frames simulated from the image (`wnet_edge.runner.image.self_check`): the
fraction of a blank object's misfit that the image explains, whether it is close to what the package
reached on a scan of its own instrument, and whether the image has the contrast that fits the frames
best. What a package reached on simulated frames, measured ones never match: such a level is no
standard, and an image as close to its frames as good ones are to measured frames is never called
wrong by it. The limits are calibrated on simulated scans with several probes, samples and networks
of every quality, and on a measured one (docs/trust.md).
"""

from enum import Enum

from wnet_edge.package.manifest import FrameFit

LEAST_EXPLAINED = 0.45
"""Least explained fraction of a blank object's misfit. Images with less than half of the true
contrast explain 41 % at most, whatever the probe; good ones 51 % of a measured scan and more
(docs/trust.md)."""

NEAR_RATIO = 1.2
"""Largest ratio of the unexplained fraction to that of the package on its own scan: any twenty
frames of scan 247 stay below 1.05, a pixel size 10 % off reaches 1.3."""

MEASURED_UNEXPLAINED = 0.45
"""Unexplained fraction of a good network on a measured scan (w3 on scan 247: 0.43). A package with
a lower level of its own was measured on frames simulated with exactly its own probe, which measured
frames never match; this value is used instead."""

MEASURED_R = 0.1
"""Noise-free R-factor that good images leave of a measured scan, whatever the sample: 0.092 of scan
247. Probe, positions and detector are never known exactly, as they are in simulation."""

CONTRAST_RANGE = (0.57, 1.4)
"""Permitted contrast of the image relative to that which fits the frames best: good images have
0.60 and more, those with about half of the true contrast 0.54 and less where they explain enough
(docs/trust.md)."""

_NOISE_RATIO = 1.3
"""Least ratio of the blank object's R-factor to that of noise alone; below it the frames are too
noisy to judge an image: scan 247 has 1.5 at 3e4 counts per frame, 1.15 at 1e4."""

_UNEXPLAINED_ALL = 0.8
"""Unexplained fraction from which an image is practically unrelated to its frames: with a wrong
orientation or wrong positions it is 0.9 and more."""


class Verdict(str, Enum):
    """Verdict on an image."""

    TRUSTED = "trusted"
    NOT_TRUSTED = "NOT trusted"
    UNKNOWN = "unknown"


class Cause(str, Enum):
    """Why an image is not trusted, or can't be judged, with what to try."""

    NOT_COVERED = (
        "the image is too small to be checked against its frames (no frame's whole probe lies on "
        "it); scan a larger field to have it judged"
    )
    NO_LEVEL = (
        "the package holds no R-factor of its own instrument to compare with; export it with "
        "--calibration SCAN, a measured scan from that instrument"
    )
    SIMULATED_LEVEL = (
        "the image is as close to its frames as good images are to measured ones, but so is a "
        "blank object nearly, and the package was judged on simulated frames only, which say "
        "nothing of measured ones; export it with --calibration SCAN, a measured scan from that "
        "instrument"
    )
    WEAK_SAMPLE = (
        "the sample scatters so weakly that a blank object explains the frames as well as images "
        "of this package explain theirs: the frames can't tell whether the image is right"
    )
    NOISE = (
        "too few counts to judge the image: counting noise alone accounts for nearly all of the "
        "misfit of a blank object; expose longer"
    )
    UNTRAINED = (
        "the package's network is hardly trained: it does not explain the scan of its own "
        "instrument either; train it longer, or use --package w3"
    )
    UNLIKE = (
        "the image hardly explains its frames: most likely the orientation of the detector or of "
        "the position axes is wrong (try --orientation auto --position-orientation auto), or the "
        "positions are far off (set points instead of read-backs), in another unit "
        "(--positions-unit) or in another order than the frames"
    )
    FLAT = (
        "the contrast of the image does not match its frames: most likely the network was trained "
        "too briefly or for another probe; make a package for this scan's probe "
        "(wnet-edge adapt SCAN)"
    )
    BACKGROUND = (
        "even the darkest pixels of the frames are lit, and refinement puts a background into the "
        "image, so that its frames look explained: subtract it, or shield the detector from stray "
        "light"
    )
    PARTLY = (
        "the image explains its frames only in part: most likely the positions are inaccurate, or "
        "pixel size (--pixel-size-m, --distance-m, --energy-ev) or probe differ from the package's "
        "(make a package for this scan's probe: wnet-edge adapt SCAN)"
    )


def judge(
    fit: FrameFit | None,
    level: FrameFit | None,
    *,
    simulated: bool = False,
    absorbs_background: bool = False,
) -> tuple[Verdict, Cause | None]:
    """Verdict on an image, and the cause if it is not trusted.

    Args:
        fit: R-factors of the image; None if no frame could be compared.
        level: R-factors of the package on a scan of its own instrument; None if it has none.
        simulated: whether the frames of that scan were simulated.
        absorbs_background: whether passes have fitted the image to frames with a background, so
            that it explains them in any case.
    """
    if fit is None:
        return Verdict.UNKNOWN, Cause.NOT_COVERED
    if level is None:
        return Verdict.UNKNOWN, Cause.NO_LEVEL
    if too_noisy(fit):
        return Verdict.UNKNOWN, Cause.NOISE
    if not explains(level):
        return Verdict.NOT_TRUSTED, Cause.UNTRAINED
    if absorbs_background and explains(fit):
        return Verdict.UNKNOWN, Cause.BACKGROUND
    if explains(fit) and (simulated or fit.unexplained <= NEAR_RATIO * _level(level)):
        return Verdict.TRUSTED, None
    # Image and blank object both fit as well as good images of this package do.
    if max(fit.r_free, fit.r_blank_free) <= level.r_free:
        return Verdict.UNKNOWN, Cause.WEAK_SAMPLE
    if simulated and fit.r_free <= MEASURED_R and _right_contrast(fit):
        return Verdict.UNKNOWN, Cause.SIMULATED_LEVEL
    return Verdict.NOT_TRUSTED, _cause(fit)


def too_noisy(fit: FrameFit) -> bool:
    """Whether counting noise hides what an image explains."""
    return fit.r_blank < _NOISE_RATIO * fit.r_floor


def explains(fit: FrameFit) -> bool:
    """Whether an image is clearly better than a blank object and has the right contrast."""
    return fit.explained >= LEAST_EXPLAINED and _right_contrast(fit)


def _right_contrast(fit: FrameFit) -> bool:
    low, high = CONTRAST_RANGE
    return low <= fit.contrast <= high


def _level(level: FrameFit) -> float:
    return max(level.unexplained, MEASURED_UNEXPLAINED)


def _cause(fit: FrameFit) -> Cause:
    if fit.unexplained > _UNEXPLAINED_ALL:
        return Cause.UNLIKE
    return Cause.PARTLY if _right_contrast(fit) else Cause.FLAT
