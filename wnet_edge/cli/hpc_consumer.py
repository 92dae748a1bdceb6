"""Consumer for pvaPy's HPC framework: one of several machines that make patches of frames.

    pvapy-hpc-consumer --processor-class wnet_edge.cli.hpc_consumer.Consumer …

Takes the NTNDArrays that the distributor gives it through preparation and network; each becomes an
NTNDArray with the same `uniqueId` on its output channel, for `wnet_edge.cli.hpc_collector`.
"""

from typing import Any

import numpy as np
import pvaccess as pva
from pvapy.hpc.pvasDataPublisher import PvasDataPublisher
from pvapy.hpc.userDataProcessor import UserDataProcessor

from wnet_edge.cli.hpc_options import (
    ended_by_a_line,
    frame_position_names,
    options_from,
    shared_setup,
)
from wnet_edge.errors import WNetEdgeError
from wnet_edge.live import ndarray
from wnet_edge.live.patch import FAULT
from wnet_edge.live.patch_maker import PatchMaker
from wnet_edge.live.pvaccess_arrays import ArrayFiller, PvaccessValue


class Consumer(UserDataProcessor):  # type: ignore[misc]  # pvaPy has no types
    """pvaPy's processor.

    Args:
        given: JSON of `--processor-args`, with pvaPy's own settings.

    Raises:
        SystemExit: with a line that says what is wrong with it.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        with ended_by_a_line():
            values = options_from(given)
            names = frame_position_names(values)
            self._maker = PatchMaker(shared_setup(values))
        self._position = (names.row, names.column)
        size_px = self._maker.window_px
        self._nothing = np.zeros((3 * size_px, size_px), np.float32)
        self._filler = ArrayFiller((3 * size_px, size_px))
        self._output: PvasDataPublisher | None = None
        self.resetStats()

    def start(self) -> None:
        """Open the output channel before the first frame, whose patch must not be missed."""
        if self.outputChannel and self.pvaServer:
            self._output = PvasDataPublisher(self.outputChannel, self.pvaServer, pva.NtNdArray())

    def getOutputPvObjectType(self, _: Any) -> None:  # noqa: ANN401, N802
        """None: `start` has opened the channel."""

    def process(self, frame: Any) -> Any:  # noqa: ANN401
        """Publish the patch of a frame, or why it has none."""
        value = PvaccessValue(frame)
        if value["value"] is None and not value["dimension"]:
            return None  # what the detector's PV holds before its first frame
        found = ndarray.attributes(value, self._position)
        attributes: dict[str, float | int | str] = {
            name: _number(found.get(name)) for name in self._position
        }
        image, fault = self._nothing, ""
        try:
            patch = self._maker.patch(ndarray.counts(value))
            image = patch.image
            attributes |= patch.attributes
            self._made += 1
        except WNetEdgeError as error:
            fault = str(error)
            self.logger.warning("frame %s: %s", value["uniqueId"], error)
            self._faults += 1
        seconds, nanoseconds = divmod(ndarray.stamp_ns(value) or 0, 1_000_000_000)
        stamp = {"secondsPastEpoch": seconds, "nanoseconds": nanoseconds}
        array = self._filler.filled(image, value["uniqueId"], stamp, {**attributes, FAULT: fault})
        if self._output is not None:
            self._output.updateOutputChannel(array)
        return array

    def resetStats(self) -> None:  # noqa: N802
        """Count anew."""
        self._made = self._faults = 0

    def getStats(self) -> dict[str, int]:  # noqa: N802
        """For the status channel and pvaPy's report."""
        return {"nPatches": self._made, "nFaults": self._faults}

    def getStatsPvaTypes(self) -> dict[str, Any]:  # noqa: N802
        """Types of `getStats`."""
        return {"nPatches": pva.UINT, "nFaults": pva.UINT}


def _number(value: Any) -> float:  # noqa: ANN401
    """NaN for what is no number: the collector counts the frame as without a position."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
