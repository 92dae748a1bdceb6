"""A frame's patch on its way from the machine that makes it to the one that stitches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.scan.preparation import Prepared

ATTRIBUTES = (
    *("Total", "ValuesMasked", "ValuesClipped", "FramesFlat"),
    *("Setup", "Precision", "Provider"),
)
"""Names of a patch's attributes."""
FAULT = "Fault"
"""Attribute that says why a frame has no patch; empty where it has one."""


@dataclass(frozen=True)
class Maker:
    """Who made a patch.

    Attributes:
        setup: fingerprint of package and detector setup, which all machines have to share.
        precision: of the graph.
        provider: that ran it.
    """

    setup: str
    precision: Precision
    provider: Provider


@dataclass(frozen=True, eq=False)
class Patch:
    """A frame's patch, with all that stitching and self-check need of the frame.

    Attributes:
        prepared: the frame as the graph took it, a batch of one.
        patches: its patch, likewise.
        maker: who made it.
    """

    prepared: Prepared
    patches: PatchArrays
    maker: Maker

    @property
    def image(self) -> NDArray[np.float32]:
        """(3 h, w): amplitude, phase in rad, and counts, one below the other."""
        amplitude, phase_rad = self.patches
        return np.concatenate([amplitude[0, 0], phase_rad[0, 0], self.prepared.counts[0, 0]])

    @property
    def attributes(self) -> dict[str, float | int | str]:
        """What else there is to know, by name."""
        prepared, maker = self.prepared, self.maker
        return {
            "Total": float(prepared.totals[0]),
            "ValuesMasked": prepared.values_masked,
            "ValuesClipped": prepared.values_clipped,
            "FramesFlat": prepared.frames_flat,
            "Setup": maker.setup,
            "Precision": maker.precision.value,
            "Provider": maker.provider.value,
        }

    @classmethod
    def of(cls, image: NDArray[np.float32], attributes: Mapping[str, Any]) -> "Patch":
        """From what `image` and `attributes` gave.

        Raises:
            ScanError: if they are not those of a patch.
        """
        try:
            amplitude, phase_rad, counts = np.asarray(image, np.float32).reshape(
                3, 1, 1, -1, image.shape[1]
            )
            masked, clipped, flat = (
                int(attributes[name]) for name in ("ValuesMasked", "ValuesClipped", "FramesFlat")
            )
            totals = np.array([float(attributes["Total"])])
            maker = Maker(
                str(attributes["Setup"]),
                Precision(attributes["Precision"]),
                Provider(attributes["Provider"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ScanError(
                f"an NTNDArray that is no patch of a wnet-edge consumer ({error})"
            ) from error
        return cls(Prepared(counts, totals, masked, clipped, flat), (amplitude, phase_rad), maker)
