"""Registry of the graphs compiled on this machine, in the user's cache, out of a package's reach.

ONNX Runtime compiles a graph to undocumented operators of one processor, so that the result can't
be checked statically (`wnet_edge.package.graph.check`). A compiled graph runs only for the user and
on the machine that compiled it, or with the signature of a trusted key.
"""

import hashlib
from pathlib import Path

from wnet_edge.errors import ExportError
from wnet_edge.runner.graph.cache import cache_folder


def mark_compiled(graph: bytes) -> None:
    """Record that this graph was compiled on this machine.

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
    """Whether this graph was compiled on this machine."""
    try:
        return _mark(graph).is_file()
    except OSError:  # an inaccessible cache
        return False


def _mark(graph: bytes) -> Path:
    return cache_folder() / "compiled" / hashlib.sha256(graph).hexdigest()
