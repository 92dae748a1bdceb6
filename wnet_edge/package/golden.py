"""Golden frames, and the deviation of other patches of these frames from the golden ones.

A package holds a few frames with the patches that its graphs gave on export. Every graph that
export writes and every machine that runs a package is checked against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.archive import archive_bytes, archive_members, array_from_npy, npy_bytes
from wnet_edge.package.manifest import (
    GOLDEN_FILE,
    Manifest,
    Precision,
    Tolerance,
)
from wnet_edge.physics.gauge import wrapped_difference_rad

Patches = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Amplitude and phase in rad, both (N, 1, H, W) float32: the outputs of a graph."""


@dataclass(frozen=True)
class GoldenFrames:
    """Golden frames: a few frames with the outputs of each precision's graph.

    Attributes:
        counts: (N, 1, H, W) float32, the graph's input.
        outputs: each precision's amplitude and phase in rad, (N, 1, H, W) float32.
    """

    counts: NDArray[np.float32]
    outputs: Mapping[Precision, Patches]


def golden_bytes(golden: GoldenFrames) -> bytes:
    """Encode golden frames as the bytes of their archive member."""
    arrays = {"counts.npy": golden.counts}
    for kind in Precision:
        if kind in golden.outputs:
            arrays[f"{kind.value}_amplitude.npy"], arrays[f"{kind.value}_phase.npy"] = (
                golden.outputs[kind]
            )
    return archive_bytes({name: npy_bytes(array) for name, array in arrays.items()})


def golden_frames(data: bytes, manifest: Manifest) -> GoldenFrames:
    """Decode golden frames from the bytes of their archive member.

    Raises:
        ValueError: if they do not match the manifest.
    """
    members, comment = archive_members(data)
    kinds = manifest.kinds()
    outputs = [f"{kind.value}_{part}.npy" for kind in kinds for part in ("amplitude", "phase")]
    if list(members) != ["counts.npy", *outputs] or comment:
        raise ValueError(f"{GOLDEN_FILE} holds other arrays than the graphs call for")
    shape = (manifest.golden.frames, 1, manifest.window_px, manifest.window_px)
    arrays = {name: array_from_npy(raw, np.float32, shape) for name, raw in members.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{GOLDEN_FILE} holds values that are not numbers")
    return GoldenFrames(
        counts=arrays["counts.npy"],
        outputs={
            kind: (arrays[f"{kind.value}_amplitude.npy"], arrays[f"{kind.value}_phase.npy"])
            for kind in kinds
        },
    )


@dataclass(frozen=True)
class Deviation:
    """Deviation of patches from the expected ones, over some frames.

    Attributes:
        amplitude: largest absolute difference, dimensionless.
        phase_rad: largest absolute wrapped difference.
        phase_rms_rad: root mean square of the wrapped difference.
    """

    amplitude: float
    phase_rad: float
    phase_rms_rad: float

    @classmethod
    def between(cls, a: Patches, b: Patches) -> "Deviation":
        """Deviation of patches `a` from patches `b`, all of one shape."""
        turn = wrapped_difference_rad(a[1].astype(np.float64), b[1])
        return cls(
            amplitude=float(np.abs(a[0].astype(np.float64) - b[0]).max()),
            phase_rad=float(np.abs(turn).max()),
            phase_rms_rad=float(np.sqrt(np.mean(turn**2))),
        )

    def or_worse(self, other: "Deviation") -> "Deviation":
        """The larger value of each of the three measures."""
        return Deviation(
            max(self.amplitude, other.amplitude),
            max(self.phase_rad, other.phase_rad),
            max(self.phase_rms_rad, other.phase_rms_rad),
        )

    def within(self, limit: Tolerance) -> bool:
        """Whether none of the three exceeds its limit; NaN counts as exceeding."""
        return (
            self.amplitude <= limit.amplitude
            and self.phase_rad <= limit.phase_rad
            and self.phase_rms_rad <= limit.phase_rms_rad
        )

    def share_of(self, limit: Tolerance) -> float:
        """Largest ratio of a measure to its limit (all limits > 0); at most 1 if within."""
        return max(
            self.amplitude / limit.amplitude,
            self.phase_rad / limit.phase_rad,
            self.phase_rms_rad / limit.phase_rms_rad,
        )
