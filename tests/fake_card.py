"""A machine with an NVIDIA card, its driver or neither, whatever machine the tests run on."""

import ctypes
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from wnet_edge.runner.graph import device, open_graph, providers
from wnet_edge.runner.graph.providers import Provider

_BUILT_IN = [kind.execution_provider for kind in (Provider.TENSORRT, Provider.CUDA, Provider.CPU)]


class SessionOnProcessor(onnxruntime.InferenceSession):
    """Goes by the providers that were asked for; every node is left to the processor."""

    def __init__(self, graph, settings, providers, **options):
        self._asked = [one if isinstance(one, str) else one[0] for one in providers]
        processor = [Provider.CPU.execution_provider]
        super().__init__(graph, settings, providers=processor, **options)

    def get_providers(self):
        return self._asked


def fake_card(patch: pytest.MonkeyPatch, folder: Path, *, card: bool, driver: bool) -> None:
    """Let there be a card or none, and a driver, with which CUDA works, or none.

    ONNX Runtime and the system's loader of libraries are stood in for, and nothing of ours but the
    name of the memory in which counts and patches lie.
    """

    def load(name, **_):
        if not driver:
            raise OSError(f"{name}: cannot open shared object file")

    board = folder / "board"
    if card:
        board.write_text("NVIDIA Jetson of the tests")
    patch.setattr(device, "_BOARD", board)
    patch.setattr(device, "_PCI_DEVICES", folder / "pci")
    loader = SimpleNamespace(CDLL=load, RTLD_GLOBAL=ctypes.RTLD_GLOBAL)
    patch.setattr(providers, "ctypes", loader)
    patch.setattr(onnxruntime, "get_available_providers", lambda: _BUILT_IN)
    patch.setattr(onnxruntime, "InferenceSession", SessionOnProcessor)
    patch.setattr(open_graph, "_DEVICE_MEMORY", "cpu")
