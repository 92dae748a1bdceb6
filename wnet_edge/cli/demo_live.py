"""`wnet-edge demo --live`: the embedded scan as if it were being scanned now, on the live page."""

import os
import sys
import webbrowser
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.cli.live_options import Terminal
from wnet_edge.cli.page_options import live_page
from wnet_edge.cli.terminal import print_note
from wnet_edge.embedded import EXAMPLE_SCAN, opened_package
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.paced_scan import PacedScan
from wnet_edge.live.page.page_options import PageOptions
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.run_settings import RunnerOptions

_RATE_HZ = 48.0
"""481 frames take ten seconds."""

_LOOK_S = 0.5
_OPENING_S = 10.0
"""How long a browser is waited for, so that it sees the scan begin."""


def run_live(
    package: str,
    options: RunnerOptions,
    files: tuple[Path, Path],
    *,
    browser: bool,
    as_json: bool,
) -> None:
    """Reconstruct the embedded scan while it is replayed.

    Args:
        package: name of an embedded one.
        options: how it runs.
        files: result and picture, which are replaced.
        browser: open the page.
        as_json: print a JSON line per look.

    Raises:
        WNetEdgeError: if the live extra is missing, or the scan gave no image.
    """
    terminal = _DemoTerminal(Path(), force=True, as_json=as_json, files=files)
    with closing(live_page("demo --live", PageOptions(), terminal.result_of)) as page:
        opened = open_best_graph(opened_package(package), options)
        live = LiveOptions(orientation=opened.package.manifest.orientation)
        source = PacedScan(find_scan(EXAMPLE_SCAN), _RATE_HZ)
        print_note(f"live page: {page.url}")
        if browser and _has_screen():
            webbrowser.open(page.url)
        page.opened.wait(_OPENING_S)
        run(
            source,
            opened,
            RunOptions(live, look_s=_LOOK_S, scans=1),
            terminal,
            viewers=(page.show,),
            save_asked=page.save_asked,
        )
    terminal.check()


def _has_screen() -> bool:
    """Whether a browser would open a window; on Linux it might take the terminal instead."""
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_display or not sys.platform.startswith("linux")


@dataclass
class _DemoTerminal(Terminal):
    """Writes the demo's own files."""

    files: tuple[Path, Path] = (Path(), Path())

    def _files_called(self, _: str) -> tuple[Path, Path]:
        return self.files
