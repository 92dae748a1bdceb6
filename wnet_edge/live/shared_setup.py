"""What all machines that share a scan have to agree on, from one recorded scan.

Beam centre, mask, dead pixels and geometry are found once, in frames that were recorded with the
same detector: whoever reads the same file finds the same, and a fingerprint tells.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from wnet_edge.framing.framing import FramedScan
from wnet_edge.io.found import FoundScan
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.scan_image import ReadyScan, made_ready


@dataclass(frozen=True, eq=False)
class SharedSetup:
    """A detector and its package.

    Attributes:
        ready: the recorded scan, as the package sees it.
        fingerprint: the same for two that treat frames alike.
    """

    ready: ReadyScan
    fingerprint: str

    @property
    def framed(self) -> FramedScan:
        """The recorded scan."""
        return self.ready.framed

    def ready_for(self, name: str) -> ReadyScan:
        """A scan of this name, treated as the recorded one."""
        ready, framed = self.ready, self.framed
        scan = replace(framed.scan, path=Path(name))
        title = f"{name} through package {ready.opened.package.name}"
        return replace(
            ready,
            choice=replace(ready.choice, framed=replace(framed, scan=scan)),
            context=replace(ready.context, title=title),
        )

    @classmethod
    def of_recorded(
        cls,
        found: FoundScan,
        opened: ChosenGraph,
        orientation: Orientation | None,
        position_orientation: Orientation | None,
    ) -> "SharedSetup":
        """From a recorded scan; orientations that are None are found by trial.

        Raises:
            ScanError: if the scan lacks a part or is not far-field.
            PackageError: if the package does not fit it.
            ProviderError: if an orientation is to be found and the network can't run.
        """
        ready = made_ready(found, opened, orientation, position_orientation)
        framed = ready.framed
        scan = framed.scan
        described = (
            opened.package.sha256,
            scan.sha256,
            framed.window,
            framed.position_orientation,
            scan.binning,
            scan.object_pixel_size_m,
        )
        digest = hashlib.sha256(repr(described).encode())
        digest.update(scan.mask.tobytes())
        return cls(ready, digest.hexdigest()[:16])
