"""Is an image to be trusted? Judged by how well it explains the frames that it was made from.

Three numbers decide, all from frames simulated anew (`wnet_edge.runner.image.self_check`): what
share of the misfit of a blank object the image explains, whether that is near what the package
reached on a scan of its own instrument, and whether the frames ask for the contrast that the image
has. The limits are calibrated on simulated scans of several probes, samples and networks of every
quality, and on a measured one (docs/trust.md).
"""

from enum import Enum

from wnet_edge.package.manifest import FrameFit

LEAST_EXPLAINED = 0.45
"""Of a blank object's misfit. Images with less than half of the true contrast explain 41 % at most,
whatever the probe; good ones 51 % of a measured scan and more (docs/trust.md)."""

NEAR_RATIO = 1.2
"""Of what an image leaves unexplained over what the package leaves on its own scan, up to which
they are near: twenty frames anywhere in scan 247 stay below 1.05, a pixel size 10 % off reaches
1.3."""

MEASURED_UNEXPLAINED = 0.45
"""What a good network leaves unexplained of a measured scan (w3 of scan 247: 0.43). A package whose
own level is lower was judged on frames simulated with the very probe it knows, which no measured
frames are; it is held to this one instead."""

CONTRAST_RANGE = (0.57, 1.4)
"""Of the image's contrast over that which the frames ask for: good images have 0.60 and more, those
with about half of the true contrast 0.54 and less where they explain enough (docs/trust.md)."""

_NOISE_RATIO = 1.3
"""Of the blank object's R-factor over what noise alone gives, below which noise hides what an image
explains: scan 247 has 1.5 at 3e4 counts a frame, 1.15 at 1e4."""

_UNEXPLAINED_ALL = 0.8
"""Share left unexplained from which an image has next to nothing to do with its frames: those of a
wrong orientation or wrong positions leave 0.9 and more."""


class Verdict(str, Enum):
    """What is said of an image."""

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
        "too briefly or for another probe; train a package with this scan's probe "
        "(wnet-edge train --probe SCAN)"
    )
    PARTLY = (
        "the image explains its frames only in part: most likely the positions are inaccurate, or "
        "pixel size (--pixel-size-m, --distance-m, --energy-ev) or probe differ from the package's "
        "(train a package with this scan's probe: wnet-edge train --probe SCAN)"
    )


def judge(fit: FrameFit | None, level: FrameFit | None) -> tuple[Verdict, Cause | None]:
    """The verdict on an image, and why it is not trusted where it is not.

    Args:
        fit: of the image to its frames; None where no frame could be compared.
        level: of the package, on a scan of its own instrument; None where it has none.
    """
    if fit is None:
        return Verdict.UNKNOWN, Cause.NOT_COVERED
    if level is None:
        return Verdict.UNKNOWN, Cause.NO_LEVEL
    if fit.r_blank < _NOISE_RATIO * fit.r_floor:
        return Verdict.UNKNOWN, Cause.NOISE
    if not explains(level):
        return Verdict.NOT_TRUSTED, Cause.UNTRAINED
    if explains(fit) and fit.unexplained <= NEAR_RATIO * _level(level):
        return Verdict.TRUSTED, None
    # Both fit as well as right images of this package do.
    if max(fit.r_free, fit.r_blank_free) <= level.r_free:
        return Verdict.UNKNOWN, Cause.WEAK_SAMPLE
    return Verdict.NOT_TRUSTED, _cause(fit)


def explains(fit: FrameFit) -> bool:
    """Whether an image is clearly better than a blank object, and of the right contrast."""
    low, high = CONTRAST_RANGE
    return fit.explained >= LEAST_EXPLAINED and low <= fit.contrast <= high


def _level(level: FrameFit) -> float:
    return max(level.unexplained, MEASURED_UNEXPLAINED)


def _cause(fit: FrameFit) -> Cause:
    if fit.unexplained > _UNEXPLAINED_ALL:
        return Cause.UNLIKE
    low, high = CONTRAST_RANGE
    return Cause.PARTLY if low <= fit.contrast <= high else Cause.FLAT
