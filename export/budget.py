"""Accuracy budget: largest loss of accuracy of a precision relative to FP32.

Every precision but FP32 must keep to it to be included in a package.
"""

import math
from dataclasses import asdict, dataclass

from wnet_edge.errors import ExportError
from wnet_edge.judging.yardstick import Loss


@dataclass(frozen=True)
class Budget:
    """Largest permitted loss relative to FP32, over phase and amplitude, single-shot and stitched.

    Attributes:
        max_ssim_drop: largest SSIM loss; without a reference, of the stitched image compared with
            FP32's own.
        max_psnr_drop_db: largest PSNR loss; applies only with a reference.

    Raises:
        ExportError: if either is negative or NaN.
    """

    max_ssim_drop: float = 0.01
    max_psnr_drop_db: float = 0.2

    def __post_init__(self) -> None:
        """Refuse negative values and NaN."""
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                flag = _flag(name)
                raise ExportError(
                    f"{flag} {value:g}: a budget is a number from 0 up; give {flag} "
                    f"{getattr(type(self), name):g}, say"
                )

    def holds(self, loss: Loss) -> bool:
        """Whether a loss is within the budget; NaN is not."""
        if not loss.ssim <= self.max_ssim_drop:
            return False
        return loss.psnr_db is None or loss.psnr_db <= self.max_psnr_drop_db

    def share(self, loss: Loss) -> float:
        """Fraction of the budget that a loss takes; infinite for NaN."""
        shares = [_share(loss.ssim, self.max_ssim_drop)]
        if loss.psnr_db is not None:
            shares.append(_share(loss.psnr_db, self.max_psnr_drop_db))
        return max(shares)

    @property
    def allows(self) -> str:
        """What it allows, for messages."""
        return f"where {self.max_ssim_drop:g} and {self.max_psnr_drop_db:g} dB are allowed"

    def flags_for(self, *losses: Loss) -> str:
        """Flags of the smallest round budget that holds all of these losses; empty if none does."""
        needed = {
            "max_ssim_drop": [loss.ssim for loss in losses],
            "max_psnr_drop_db": [loss.psnr_db for loss in losses if loss.psnr_db is not None],
        }
        flags = []
        for name, drops in needed.items():
            most = max(drops, default=0.0)
            if not all(map(math.isfinite, drops)):
                return ""
            if most > getattr(self, name):
                flags.append(f"{_flag(name)} {_rounded_up(most):g}")
        return " ".join(flags)


def described(loss: Loss) -> str:
    """Text of a loss, for messages."""
    if math.isnan(loss.ssim):
        return "SSIM has no value, since what it is compared with is constant"
    psnr = "" if loss.psnr_db is None else f", PSNR by {loss.psnr_db:.3f} dB"
    return f"SSIM falls by {loss.ssim:.4f}{psnr}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _rounded_up(value: float) -> float:
    """Two significant digits, at least a ten-thousandth, never less than the value."""
    digits = min(1 - math.floor(math.log10(value)), 4)
    rounded = round(value, digits)
    return rounded if rounded >= value else round(rounded + 10.0**-digits, digits)


def _share(lost: float, allowed: float) -> float:
    if math.isnan(lost):
        return math.inf
    if lost <= 0:
        return 0.0
    return lost / allowed if allowed > 0 else math.inf
