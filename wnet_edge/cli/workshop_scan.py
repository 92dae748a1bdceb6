"""A measured scan as a network that is no package yet sees it: for training and for export.

The same framing as in inference, by the network's own probe: what `infer` will look at is what
trains and what calibrates.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.cli.scan_options import way_up
from wnet_edge.errors import ScanError
from wnet_edge.framing.framing import FramedScan, Framing
from wnet_edge.io.found import FoundScan
from wnet_edge.io.probe_file import MeasuredProbe, probe_of
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.orientation import Orientation


@dataclass(frozen=True)
class Turns:
    """What is done to frames and to positions before anything else."""

    frames: Orientation = Orientation.IDENTITY
    positions: Orientation = Orientation.IDENTITY

    def named(self) -> dict[str, str]:
        """Those that change anything, by name."""
        turns = {"orientation": self.frames, "position_orientation": self.positions}
        return {k: turn.value for k, turn in turns.items() if turn is not Orientation.IDENTITY}


@dataclass(frozen=True)
class _Window:
    """Of a network, as `wnet_edge.package.manifest.Manifest` has it."""

    model: str
    window_px: int
    frame_px: int
    object_pixel_size_m: float


@dataclass(frozen=True)
class _Network:
    """Of a package what framing asks for."""

    manifest: _Window
    probe: NDArray[np.complex64]


def turns_from(values: dict[str, Any]) -> Turns:
    """The options of `known_orientation_options`; they are taken out of `values`."""
    ways = (values.pop("orientation"), values.pop("position_orientation"))
    frames, positions = (way_up(way, Orientation.IDENTITY) or Orientation.IDENTITY for way in ways)
    return Turns(frames, positions)


def own_probe(found: FoundScan, path: Path, *, named: bool) -> MeasuredProbe:
    """The scan's probe; `named` if it was, by flag.

    Raises:
        ScanError: if it has none, or too little is known of it.
    """
    if found.probe is None:
        raise ScanError(f"{path}: has no probe; give one with --probe, e.g. a Ptychodus product")
    return probe_of(found, found.probe, named=named)


def framed_for(found: FoundScan, instrument: Instrument, name: str, turns: Turns) -> FramedScan:
    """The scan cut, centred and turned for a network of this instrument.

    Raises:
        ScanError: if a part is missing or makes no sense, or the scan is near-field.
        PackageError: if the scan is of another instrument.
    """
    full_px = instrument.probe.shape[-1]
    window = _Window(name, instrument.window_px, full_px, instrument.object_pixel_size_m)
    framer = Framing(found, _Network(window, instrument.probe))
    return framer.framed(turns.frames, turns.positions)
