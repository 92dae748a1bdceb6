"""The embedded scan, and a reconstruction of it."""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("wnet_edge") / "examples"))

EXAMPLE_SCAN = _FOLDER / "cnm26id_scan247_64px.cxi"
EXAMPLE_REFERENCE = _FOLDER / "cnm26id_scan247_reference.npz"
