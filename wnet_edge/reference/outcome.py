"""What a reference reconstruction came to."""

from dataclasses import dataclass

from wnet_edge.reference.options import ReferenceOptions
from wnet_edge.reference.scene import Scene


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        number: counted from 1.
        error: pty-chi's own.
        r_factor: of some frames, after it.
        seconds: it took, without finding the R-factor.
    """

    number: int
    error: float
    r_factor: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Where the engine has come to.

    Attributes:
        scene: with object, probe and positions as the engine left them.
        options: how it was reconstructed.
        epochs: all whole ones.
        r_factor: R = Σ|√I − |Ψ|| / Σ√I of all frames.
        r_noise: that which a perfect object would have.
        r_start: of some frames, before the first epoch.
        stopped: why there was no further epoch.
        device: where it ran.
        moved_px: root mean square by which positions were corrected, their mean aside.
        versions: of what made it, by name.
    """

    scene: Scene
    options: ReferenceOptions
    epochs: tuple[Epoch, ...]
    r_factor: float
    r_noise: float
    r_start: float
    stopped: str
    device: str
    moved_px: float
    versions: dict[str, str]

    @property
    def seconds(self) -> float:
        """Of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def values(self) -> dict[str, float | str | tuple[float, ...]]:
        """By their names in results and `--json`."""
        return {
            "engine": self.options.engine.value,
            "epochs": len(self.epochs),
            "batch_size": self.options.update_frames,
            "seed": self.options.seed,
            "device": self.device,
            "probe": "refined" if self.options.refine_probe else "held",
            "modes": len(self.scene.probe),
            "positions": "refined" if self.options.refine_positions else "held",
            "positions_moved_px": self.moved_px,
            "errors": tuple(epoch.error for epoch in self.epochs),
            "r_factors": (self.r_start, *(epoch.r_factor for epoch in self.epochs)),
            "r_factor": self.r_factor,
            "r_noise": self.r_noise,
            "stopped": self.stopped,
            "seconds": self.seconds,
        }

    @property
    def text(self) -> str:
        """In a line."""
        refined = [what for what, is_so in self._refined if is_so]
        also = f", {' and '.join(refined)} refined" if refined else ""
        return (
            f"{self.options.engine.value}: {len(self.epochs)} epochs in {self.seconds:.0f} s on "
            f"{self.device}{also}: R-factor of all frames {self.r_factor:.4f} ({self.stopped})"
        )

    @property
    def _refined(self) -> tuple[tuple[str, bool], ...]:
        return (("probe", self.options.refine_probe), ("positions", self.options.refine_positions))
