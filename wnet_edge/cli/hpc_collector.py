"""Collector for pvaPy's HPC framework: patches from several machines to one growing image.

    pvapy-hpc-collector --processor-class wnet_edge.cli.hpc_collector.Collector …

pvaPy puts the patches in the order of their `uniqueId`; here they are stitched, the image is
written and served, and every frame without a patch is counted.
"""

import threading
from pathlib import Path
from typing import Any

import pvaccess as pva
from pvapy.hpc.userDataProcessor import UserDataProcessor

from wnet_edge.cli.hpc_options import (
    ended_by_a_line,
    frame_position_names,
    options_from,
    shared_setup,
)
from wnet_edge.cli.live_options import Terminal, pv_outputs, results_folder
from wnet_edge.cli.stream import pv_idle_s
from wnet_edge.live import collector
from wnet_edge.live.pv_scans import ScanRules
from wnet_edge.live.pvaccess_arrays import PvaccessValue
from wnet_edge.live.run import RunOptions

_TICK_S = 0.1


class Collector(UserDataProcessor):  # type: ignore[misc]  # pvaPy has no types
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
            rules = ScanRules(
                first_number=values["first_id"],
                frame_count=values["count"],
                idle_s=pv_idle_s(values),
                positions=frame_position_names(values),
            )
            setup = shared_setup(values)
            folder = results_folder(values["output"] or Path())
            terminal = Terminal(folder, force=values["force"], as_json=False)
            prefix = values["pv_prefix"]
            viewers = [] if prefix is None else [pv_outputs(prefix).show]
        self._collector = collector.Collector(
            given.get("inputChannel", "").replace("*", "").strip(":") or "patches",
            rules,
            setup,
            RunOptions(look_s=values["look_s"], save_s=values["save_s"]),
            terminal,
            viewers,
        )
        self._stopped = threading.Event()
        self._ticking = threading.Thread(target=self._tick, name="collector", daemon=True)

    def start(self) -> None:
        """See to looks and ends of scans from now on."""
        self._ticking.start()

    def process(self, patch: Any) -> Any:  # noqa: ANN401
        """Take a patch."""
        value = PvaccessValue(patch)
        if value["value"] is not None:  # as a consumer's channel before its first patch
            self._collector.take(value)
        return patch

    def stop(self) -> None:
        """End the scan that runs."""
        self._stopped.set()
        if self._ticking.is_alive():
            self._ticking.join()
        self._collector.finish()

    def getStats(self) -> dict[str, int]:  # noqa: N802
        """For the status channel and pvaPy's report."""
        return {"nStitched": self._collector.processed, "nLost": self._collector.lost}

    def getStatsPvaTypes(self) -> dict[str, Any]:  # noqa: N802
        """Types of `getStats`."""
        return {"nStitched": pva.UINT, "nLost": pva.UINT}

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            self._collector.tick()
