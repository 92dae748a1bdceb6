"""How much accuracy a smaller precision may cost, and whether a graph keeps to it.

Asked of every precision but FP32 before it gets into a package.
"""

import math
from dataclasses import asdict, dataclass

from wnet_edge.errors import ExportError
from wnet_edge.judging.yardstick import Loss


@dataclass(frozen=True)
class Budget:
    """What may be lost of FP32's accuracy, over phase and amplitude, single-shot and stitched.

    Attributes:
        max_ssim_drop: of the structural similarity to the reference; without a reference, of the
            stitched image's to FP32's own.
        max_psnr_drop_db: of the peak signal-to-noise ratio; only with a reference.

    Raises:
        ExportError: if either is negative or no number.
    """

    max_ssim_drop: float = 0.01
    max_psnr_drop_db: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what is no budget."""
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                flag = f"--{name.replace('_', '-')}"
                raise ExportError(
                    f"{flag} {value:g}: a budget is a number from 0 up; give {flag} "
                    f"{getattr(type(self), name):g}, say"
                )

    def holds(self, loss: Loss) -> bool:
        """Whether a loss is within it; one that is NaN is not."""
        if not loss.ssim <= self.max_ssim_drop:
            return False
        return loss.psnr_db is None or loss.psnr_db <= self.max_psnr_drop_db

    def share(self, loss: Loss) -> float:
        """How much of the budget a loss takes, 1 being all of it; infinite where NaN."""
        shares = [_share(loss.ssim, self.max_ssim_drop)]
        if loss.psnr_db is not None:
            shares.append(_share(loss.psnr_db, self.max_psnr_drop_db))
        return max(shares)


def described(loss: Loss) -> str:
    """A loss in words, for a line to the user."""
    psnr = "" if loss.psnr_db is None else f", PSNR by {loss.psnr_db:.3f} dB"
    return f"SSIM falls by {loss.ssim:.4f}{psnr}"


def _share(lost: float, allowed: float) -> float:
    if math.isnan(lost):
        return math.inf
    if lost <= 0:
        return 0.0
    return lost / allowed if allowed > 0 else math.inf
