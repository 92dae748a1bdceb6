"""The `wnet-edge adapt` that makes a package for a scan, with the flags that were typed for it."""

import shlex
import sys
from pathlib import Path

from wnet_edge.errors import OtherInstrumentError, WNetEdgeError


def with_adapt_command(error: WNetEdgeError) -> WNetEdgeError:
    """The error, with a command that can be pasted if the scan of another instrument is a file."""
    if not isinstance(error, OtherInstrumentError):
        return error
    scan = str(error.scan)
    if not Path(scan).exists():
        return error
    command = shlex.join(["wnet-edge", "adapt", scan, *_scan_words(sys.argv[1:])])
    return OtherInstrumentError(error.scan, error.fault, command)


def _scan_words(words: list[str]) -> list[str]:
    """Those of a command line that say something of a scan: flags with their values."""
    # Loaded already, unless a command without these flags has failed.
    from wnet_edge.cli.options import AUTO
    from wnet_edge.cli.scan_options import SCAN_FLAGS

    kept, following = [], iter(words)
    for word in following:
        flag, equals, _ = word.partition("=")
        if flag not in SCAN_FLAGS:
            continue
        pair = [word] if equals else [word, next(following, "")]
        if not pair[-1].endswith(AUTO):  # what `infer` finds by trial, `adapt` must be told
            kept += pair
    return kept
