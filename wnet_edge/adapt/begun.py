"""An adaptation that was interrupted: what its checkpoint says of plan, instrument and scan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wnet_edge.adapt.instrument_of_scan import SeenInstrument
from wnet_edge.adapt.options import AdaptOptions
from wnet_edge.adapt.plan import Plan
from wnet_edge.errors import CheckpointError
from wnet_edge.physics.instrument import Instrument
from wnet_edge.scan.scan import Scan
from wnet_edge.training.checkpoint import read_checkpoint

ADAPTED_TO = "adapted_to"
"""Key of the training data's description, under which `about` stands."""

_MOST_THREADS = 1024


@dataclass(frozen=True, eq=False)
class Begun:
    """What an interrupted run has left.

    Attributes:
        path: its checkpoint.
        instrument: that it found.
        probe_from: where the probe came from.
        choices: what was chosen and mended.
        scan_sha256: fingerprint of its scan.
        threads: that shared each batch.
        plan: of the whole training.
        epochs: whole epochs.
        trained_s: that they took.
    """

    path: Path
    instrument: Instrument
    probe_from: str
    choices: tuple[str, ...]
    scan_sha256: str
    threads: int
    plan: Plan
    epochs: int
    trained_s: float

    def check_scan(self, scan: Scan) -> None:
        """See that it is the same scan.

        Raises:
            CheckpointError: if it is not.
        """
        if scan.sha256 != self.scan_sha256:
            raise CheckpointError(
                f"{self.path}: was begun for another scan than {scan.path}; give that one, or "
                "begin anew with --force"
            )


def about(options: AdaptOptions, seen: SeenInstrument, threads: int) -> dict[str, Any]:
    """What a checkpoint says of the adaptation it belongs to, as JSON values."""
    scan = seen.framed.scan
    return {
        "scan": scan.path.name,
        "scan_sha256": scan.sha256,
        "minutes": options.minutes,
        "threads": threads,
        "probe_from": seen.probe_from,
        "choices": list(seen.choices),
    }


def read_begun(path: Path, options: AdaptOptions) -> Begun:
    """Read the checkpoint of an interrupted adaptation.

    Raises:
        CheckpointError: if it is damaged, of no adaptation, or of one with another budget.
    """
    checkpoint = read_checkpoint(path, written_over=True)
    record = checkpoint.record
    settings = record.settings
    told = settings["data"].get(ADAPTED_TO)
    try:
        minutes, frames = float(told["minutes"]), int(settings["data"]["frames_per_epoch"])
        begun = Begun(
            path=path,
            instrument=checkpoint.instrument,
            probe_from=str(told["probe_from"]),
            choices=tuple(str(line) for line in told["choices"]),
            scan_sha256=str(told["scan_sha256"]),
            threads=min(max(int(told["threads"]), 1), _MOST_THREADS),
            plan=Plan(int(settings["epochs"]), frames),
            epochs=record.epoch,
            trained_s=sum(float(epoch["seconds"]) for epoch in record.history),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: is not of an interrupted `wnet-edge adapt`; begin anew with --force"
        ) from error
    if minutes != options.minutes:
        raise CheckpointError(
            f"{path}: was begun with --minutes {minutes:g}, by which its plan was made; give the "
            "same, or begin anew with --force"
        )
    return begun
