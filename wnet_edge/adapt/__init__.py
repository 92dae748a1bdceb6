"""From one scan of an instrument to a package for it: probe, training, export, verdict.

A room and, as `wnet_edge.adapt(...)`, the function of the same name, as `wnet_edge.export` is.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from wnet_edge.errors import not_installed

if TYPE_CHECKING:
    from pathlib import Path


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> "Path":  # noqa: ANN401 - as `adapt`
        """Make a package for the instrument of a scan: see `wnet_edge.adapt.front.adapt`."""
        try:
            from wnet_edge.adapt.front import adapt
        except ModuleNotFoundError as error:
            raise ImportError(not_installed("wnet_edge.adapt", error, "train")) from error
        return adapt(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
