"""Which compiled graphs were made here: marks in the user's cache, where no package can leave any.

ONNX Runtime compiles a graph to operators of its own and of one processor, written down nowhere, so
that what such a graph does can't be told by looking at it (`wnet_edge.package.graph.check`). It is
run for the user who had it made, on the machine where it was made, or on the word of a trusted key.
"""

import hashlib
from pathlib import Path

from wnet_edge.errors import ExportError
from wnet_edge.runner.graph.cache import cache_folder


def mark_compiled(graph: bytes) -> None:
    """Leave a mark that ONNX Runtime made this graph here.

    Raises:
        ExportError: if the cache can't be written.
    """
    mark = _mark(graph)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise ExportError(
            f"{mark.parent}: can't be written ({error.strerror}); set XDG_CACHE_HOME to a folder "
            "that can be written"
        ) from error


def is_compiled_here(graph: bytes) -> bool:
    """Whether there is such a mark."""
    try:
        return _mark(graph).is_file()
    except OSError:  # a cache that can't be entered
        return False


def _mark(graph: bytes) -> Path:
    return cache_folder() / "compiled" / hashlib.sha256(graph).hexdigest()
