"""Options that `follow` and `stream` share, and what becomes of a running scan at the terminal."""

import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import (
    FILE,
    force_option,
    json_option,
    package_option,
    print_json,
    runner_options,
    runner_options_from,
    trust_option,
)
from wnet_edge.cli.page_options import live_page, page_options, page_options_from
from wnet_edge.cli.refine_option import PASSES, refine_options
from wnet_edge.cli.scan_options import orientation_options, scan_options, way_up
from wnet_edge.cli.terminal import StdoutError, print_line, print_note
from wnet_edge.embedded import opened_package
from wnet_edge.errors import ResultError, ScanError, WNetEdgeError, not_installed
from wnet_edge.host.outputs import check_output
from wnet_edge.io.images.result_format import ResultFormat, default_paths, picture_beside
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.live.page.page_options import PageOptions
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.live.snapshot import Snapshot, Viewer
from wnet_edge.live.source import Begin, Lost, Source, told
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.image.scan_image import ScanImage, write_scan_image

if TYPE_CHECKING:
    from wnet_edge.live.pv_outputs import PvOutputs

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--first-frames",
        type=click.IntRange(1, 10_000),
        default=LiveOptions.first_frames,
        show_default=True,
        help="Frames from which beam centre, mask and odd pixels are found, before the first "
        "image.",
    ),
    click.option(
        "--batch-wait-ms",
        type=Number(0, 60_000),
        default=1e3 * LiveOptions.batch_wait_s,
        show_default=True,
        help="Longest time that a frame waits for its batch to be full.",
    ),
    click.option(
        "--look-s",
        type=Number(0.01, 3600),
        default=RunOptions.look_s,
        show_default=True,
        help="Time between looks at the image so far.",
    ),
    click.option(
        "--save-s",
        type=Number(0.1, 1e6),
        default=RunOptions.save_s,
        show_default=True,
        help="Time between results written while the scan runs: what a crash can lose.",
    ),
    click.option(
        "--refine",
        type=PASSES,
        metavar="N|auto",
        help="Refine the image at the scan's end by N passes over its frames, or as many as pay "
        "(auto). The frames wait in a temporary file (TMPDIR): 64 kB for one of 128 × 128 pixels.",
    ),
    click.option(
        "-o",
        "output",
        type=FILE,
        help="Folder of the results, a file and a picture per scan, named after it.  [default: .]",
    ),
    click.option(
        "--output-pv",
        "pv_prefix",
        metavar="PREFIX",
        help="Serve the image so far and its state as EPICS PVs: PREFIX:Phase, PREFIX:Amplitude, "
        "PREFIX:Coverage, PREFIX:RFactor and others, new every --look-s.",
    ),
)


def live_options(command: Command) -> Command:
    """All of them, with those of package, runner and scan, for `LiveSetup.of`."""
    for option in (json_option, force_option, page_options, *reversed(_OPTIONS)):
        command = option(command)
    command = orientation_options(scan_options(command))
    return package_option(trust_option(runner_options(command)))


@dataclass(frozen=True)
class LiveSetup:
    """What the options of a live command come to.

    Attributes:
        opened: graph of the package.
        options: how scans are taken.
        terminal: who tells of them, and writes their results.
        pv_prefix: of the PVs that show them; None for none.
        page: where a page shows them; None for none.
    """

    opened: ChosenGraph
    options: RunOptions
    terminal: "Terminal"
    pv_prefix: str | None
    page: PageOptions | None

    @classmethod
    def of(
        cls,
        values: dict[str, Any],
        reading: ReadOptions,
        scans: int | None,
        *,
        again: bool = False,
    ) -> "LiveSetup":
        """From the options of `live_options`; `again`: whether a scan can be taken once more.

        Raises:
            OptionError: as `PageOptions`.
            PackageError: as `opened_package`.
            ProviderError: if an execution provider that was asked for is unavailable.
            ResultError: if the folder of the results is not there.
        """
        page = page_options_from(values)
        package = opened_package(values["package"], values["trust"])
        names = ("precision", "provider", "threads", "batch_size")
        runner = runner_options_from(**{name: values[name] for name in names})
        live = LiveOptions(
            first_frames=values["first_frames"],
            batch_wait_s=values["batch_wait_ms"] / 1e3,
            reading=reading,
            orientation=way_up(values["orientation"], package.manifest.orientation),
            position_orientation=way_up(values["position_orientation"], Orientation.IDENTITY),
            refining=refine_options(values["refine"], values["threads"]),
        )
        folder = results_folder(values["output"] or Path())
        options = RunOptions(live, values["look_s"], values["save_s"], scans)
        terminal = Terminal(folder, values["force"], values["as_json"], renames=not again)
        opened = open_best_graph(package, runner)
        return cls(opened, options, terminal, values["pv_prefix"], page)

    def run(self, source: Source, queue_depth: Callable[[], int] = lambda: 0) -> None:
        """Take the source's scans to their images, and show them on the way.

        Raises:
            ScanError: if the source is damaged or can't be reached, or a scan gave no image.
            WNetEdgeError: if the PVs or the page can't be served.
        """
        with ExitStack() as stack:
            viewers: list[Viewer] = []
            save_asked = None
            if self.pv_prefix is not None:
                viewers.append(stack.enter_context(closing(pv_outputs(self.pv_prefix))).show)
            if self.page is not None:
                page = stack.enter_context(
                    closing(live_page("--serve", self.page, self.terminal.result_of))
                )
                print_note(f"live page: {page.url}")
                viewers.append(page.show)
                save_asked = page.save_asked
            run(source, self.opened, self.options, self.terminal, queue_depth, viewers, save_asked)
        self.terminal.check()


def pv_outputs(prefix: str) -> "PvOutputs":
    """Serves PVs whose names begin with `prefix`.

    Raises:
        WNetEdgeError: if p4p is not installed.
    """
    try:
        from wnet_edge.live.pv_outputs import PvOutputs
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("--output-pv", error, "live")) from error
    return PvOutputs(prefix)


def results_folder(output: Path) -> Path:
    """The folder of the results.

    Raises:
        ResultError: if there is none.
    """
    what = "-o names a folder, in which results are named after their scans"
    if output.is_dir():
        return output
    if output.exists():
        raise ResultError(f"{output}: is a file; {what}")
    raise ResultError(f"{output}: no such folder; create it, or name another: {what}")


@dataclass
class Terminal:
    """Tells of running scans on the terminal and writes their results.

    Attributes:
        folder: of the results.
        force: replace files of earlier runs.
        as_json: print a JSON line per look.
        renames: write beside the file of an earlier run instead of refusing to: a stream can't be
            taken again.
        failures: scans that gave no image, and why.
    """

    folder: Path
    force: bool
    as_json: bool
    renames: bool = False
    failures: list[str] = field(default_factory=list)
    _own: set[Path] = field(default_factory=set)
    _stems: dict[str, str] = field(default_factory=dict)
    _unsaved: bool = False
    _unheard: bool = False

    def began(self, begin: Begin) -> None:
        """See that the result may be written.

        Raises:
            ResultError: if its file is there already, and may not be replaced or written beside.
        """
        self._unsaved = False
        self._stems[Path(begin.name).name] = self._stem(begin.name)
        for file in self._files(begin.name):
            if file not in self._own:
                check_output(file, ResultError, force=self.force)

    def looked(self, snapshot: Snapshot) -> None:
        """One line on the terminal, in place of the one before, or one of JSON.

        Raises:
            StdoutError: if it can't be written at the end, when the result is saved.
        """
        try:
            self._tell(snapshot)
        except StdoutError as error:
            if snapshot.ended is not None:
                raise
            if not self._unheard:
                print_note(f"Warning: {error}; the scan goes on")
            self._unheard = True

    def _tell(self, snapshot: Snapshot) -> None:
        lost = sum(snapshot.lost.values())
        if self.as_json:
            print_json({**_values(snapshot), "result": str(self._files(snapshot.scan)[0])})
            return
        of = "" if snapshot.expected is None else f" of {snapshot.expected}"
        line = (
            f"{snapshot.scan}: {snapshot.processed}{of} frames, {lost} lost, "
            f"{snapshot.frames_per_second:.0f} frames/s, {snapshot.verdict}"
        )
        if snapshot.ended is not None:
            for warning in (*snapshot.warnings, *told(snapshot.lost)):
                print_note(f"Warning: {snapshot.scan}: {warning}")
            print_line(f"{line} ({snapshot.ended})")
        elif sys.stderr.isatty():
            print_note(line)

    def save(self, image: ScanImage, *, ended: bool) -> None:
        """Write the image and, at the end, its picture.

        Raises:
            ResultError: if the last one can't be written; an earlier one is tried again.
        """
        output, picture = self._files(image.scan.name)
        force = self.force or output in self._own
        try:
            write_scan_image(
                image,
                (output,),
                picture if ended else None,
                ResultFormat.NEXUS,
                command_line=command_line(),
                force=force,
            )
        except ResultError as error:
            if ended:
                raise
            if not self._unsaved:
                print_note(f"Warning: {error}; the scan goes on, and is saved when that is mended")
            self._unsaved = True
            return
        if self._unsaved:
            print_note(f"{output}: is written again")
        self._unsaved = False
        self._own |= {output, picture} if ended else {output}
        if ended and not self.as_json:
            print_line(f"image: {output}")
            print_line(f"picture: {picture}")

    def lost(self, lost: Lost) -> None:
        """A line for what comes outside of scans."""
        for line in (*told({lost.reason: lost.frames}), lost.note):
            if line:
                print_note(f"Warning: outside of a scan: {line}")

    def failed(self, begin: Begin, error: WNetEdgeError) -> None:
        """Remembered for the end, and told at once where other scans may follow."""
        self.failures.append(str(error))
        if self.as_json:
            print_json({"scan": begin.name, "error": str(error)})

    def check(self) -> None:
        """See that every scan has given its image.

        Raises:
            ScanError: if one has not.
        """
        if self.failures:
            raise ScanError("; ".join(self.failures))

    def result_of(self, name: str) -> Path:
        """File of the result of a scan."""
        return self._files(name)[0]

    def _stem(self, name: str) -> str:
        """What the files of a scan are called, another name than those of earlier runs."""
        stem = Path(name).name.removesuffix(Path(name).suffix) or "scan"
        if self.force or not self.renames:
            return stem
        stems = chain([stem], (f"{stem}_{number}" for number in count(2)))
        free = next(stem for stem in stems if not self._is_taken(stem))
        if free != stem:
            files = [self._files_called(one)[0] for one in (stem, free)]
            print_note(f"Warning: {files[0]}: exists already; this scan goes to {files[1]}")
        return free

    def _is_taken(self, stem: str) -> bool:
        return any(file.exists() for file in self._files_called(stem) if file not in self._own)

    def _files(self, name: str) -> tuple[Path, Path]:
        return self._files_called(self._stems[Path(name).name])

    def _files_called(self, stem: str) -> tuple[Path, Path]:
        (output,) = default_paths(ResultFormat.NEXUS, self.folder, stem)
        return output, picture_beside(output)


def _values(snapshot: Snapshot) -> dict[str, object]:
    return {
        "scan": snapshot.scan,
        "received": snapshot.received,
        "processed": snapshot.processed,
        "lost": {reason.name.lower(): count for reason, count in snapshot.lost.items()},
        "expected": snapshot.expected,
        "queue_depth": snapshot.queue_depth,
        "frames_per_second": snapshot.frames_per_second,
        "latency_p50_s": snapshot.latency_p50_s,
        "latency_p99_s": snapshot.latency_p99_s,
        "r_factor": snapshot.r_factor,
        "trusted": snapshot.trusted,
        "package": snapshot.package,
        "precision": snapshot.precision,
        "provider": snapshot.provider,
        "ended": snapshot.ended,
        "warnings": snapshot.warnings,
    }
