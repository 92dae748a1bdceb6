"""Export: a trained checkpoint in, one verified package file out (needs torch and onnx).

A room and, as `wnet_edge.export(...)`, the function of the same name: importing anything of the
room binds the name to this module, so the module itself can be called.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from wnet_edge.errors import not_installed

if TYPE_CHECKING:
    from pathlib import Path


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> "Path":  # noqa: ANN401 - as `export`
        """Export a network: see `wnet_edge.export.front.export`."""
        try:
            from wnet_edge.export.front import export
        except ModuleNotFoundError as error:
            raise ImportError(not_installed("wnet_edge.export", error, "train")) from error
        return export(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
