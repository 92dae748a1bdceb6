"""What a user may ask of a reference reconstruction; nothing of pty-chi is imported for it."""

from dataclasses import dataclass
from enum import Enum

from wnet_edge.errors import OptionError


class Engine(str, Enum):
    """Engines of pty-chi."""

    EPIE = "epie"  # extended ptychographic iterative engine
    MPIE = "mpie"  # regularised PIE with momentum
    DM = "dm"  # difference map
    LSQML = "lsqml"  # least-squares maximum likelihood

    @property
    def update_frames(self) -> int:
        """Frames of an update that serve it well on a processor.

        For the difference map, which updates with all frames, those transformed at a time.
        """
        return 32 if self is Engine.LSQML else 10


class DeviceName(str, Enum):
    """Where pty-chi runs; AUTO is the GPU if PyTorch can use one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class ReferenceOptions:
    """How to reconstruct.

    Attributes:
        engine: of pty-chi.
        epochs: passes over all frames.
        batch_size: frames of an update; None: as serves the engine well.
        modes: incoherent modes of the probe; None: all that the probe has.
        refine_probe: let the engine improve the probe, too.
        refine_positions: let it correct the positions.
        device: where it runs.
        threads: of PyTorch on the processor; None: as PyTorch likes.
        seed: of the order of frames.
    """

    engine: Engine = Engine.LSQML
    epochs: int = 100
    batch_size: int | None = None
    modes: int | None = None
    refine_probe: bool = False
    refine_positions: bool = False
    device: DeviceName = DeviceName.AUTO
    threads: int | None = None
    seed: int = 0

    @property
    def update_frames(self) -> int:
        """Frames of an update."""
        return self.batch_size or self.engine.update_frames

    def check_modes(self, available: int) -> None:
        """See that a probe of `available` modes will do.

        Raises:
            OptionError: if more are asked for, and the probe is held.
        """
        if self.modes is not None and self.modes > available and not self.refine_probe:
            raise OptionError(
                f"--modes {self.modes}: the probe has {available}, and more can only be found by "
                "--refine-probe"
            )
