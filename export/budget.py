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
                flag = f"--{name.replace('_', '-')}"
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


def described(loss: Loss) -> str:
    """Text of a loss, for messages."""
    psnr = "" if loss.psnr_db is None else f", PSNR by {loss.psnr_db:.3f} dB"
    return f"SSIM falls by {loss.ssim:.4f}{psnr}"


def _share(lost: float, allowed: float) -> float:
    if math.isnan(lost):
        return math.inf
    if lost <= 0:
        return 0.0
    return lost / allowed if allowed > 0 else math.inf
