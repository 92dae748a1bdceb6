"""Single-shot ptychography at the edge: from diffraction frames to an image of the object.

    import wnet_edge

    with wnet_edge.open("w3") as runner:
        image = runner.infer("scan.h5")

What is offered here is public, documented in the README and kept; what lies below may move.
"""

import os
from importlib import import_module

TYPE_CHECKING = False  # of `typing`, whose import takes longer than all the rest

# Set before ONNX Runtime is loaded: its wheels send telemetry to Microsoft, which starts by writing
# a file `.ses` to the temporary folder. To enable it, set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from wnet_edge.adapt.front import adapt
    from wnet_edge.api.images import Image, compare
    from wnet_edge.api.runner import Patches, Runner
    from wnet_edge.api.runner import open_runner as open
    from wnet_edge.api.scans import Scan, read_scan
    from wnet_edge.api.simulation import simulate
    from wnet_edge.api.training import train
    from wnet_edge.comparing.comparison import Comparison
    from wnet_edge.errors import WNetEdgeError
    from wnet_edge.export.front import export

__all__ = [
    "Comparison",
    "Image",
    "Patches",
    "Runner",
    "Scan",
    "WNetEdgeError",
    "adapt",
    "compare",
    "export",
    "open",
    "read_scan",
    "simulate",
    "train",
]

_PLACES = {
    "Comparison": ("comparing.comparison", "Comparison"),
    "Image": ("api.images", "Image"),
    "Patches": ("api.runner", "Patches"),
    "Runner": ("api.runner", "Runner"),
    "Scan": ("api.scans", "Scan"),
    "WNetEdgeError": ("errors", "WNetEdgeError"),
    "adapt": ("adapt", ""),
    "compare": ("api.images", "compare"),
    "export": ("export", ""),
    "open": ("api.runner", "open_runner"),
    "read_scan": ("api.scans", "read_scan"),
    "simulate": ("api.simulation", "simulate"),
    "train": ("api.training", "train"),
}
"""Loaded when they are first asked for, so that `import wnet_edge` costs nothing."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    try:
        loaded = import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        if name != "train":
            raise
        from wnet_edge.errors import not_installed

        raise ImportError(not_installed(f"wnet_edge.{name}", error, "train")) from error
    # `adapt` and `export` are rooms, which can be called.
    value: object = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
