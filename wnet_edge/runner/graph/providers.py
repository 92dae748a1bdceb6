"""Execution providers of the installed ONNX Runtime, and why one is unavailable.

ONNX Runtime lists the providers that it was built with, not those that work: CUDA's libraries or
the driver may be missing. This module checks, at little cost, what can be checked without a graph;
only a session shows whether a provider really works (`wnet_edge.runner.choosing.choice`).
"""

import contextlib
import ctypes
import io
import sys
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

import onnxruntime


class Provider(str, Enum):
    """Execution provider; AUTO takes the best that works (`wnet_edge.runner.choosing.choice`)."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    MIGRAPHX = "migraphx"
    COREML = "coreml"
    DIRECTML = "directml"
    XNNPACK = "xnnpack"

    @property
    def execution_provider(self) -> str:
        """ONNX Runtime's name for it."""
        return _EXECUTION_PROVIDERS[self]

    @property
    def is_nvidia(self) -> bool:
        """Whether it needs NVIDIA's driver and keeps tensors in GPU memory."""
        return self in (Provider.CUDA, Provider.TENSORRT)


_EXECUTION_PROVIDERS = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
    Provider.MIGRAPHX: "MIGraphXExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
    Provider.XNNPACK: "XnnpackExecutionProvider",
}

WHEELS = {
    Provider.CUDA: "onnxruntime-gpu",
    Provider.TENSORRT: "onnxruntime-gpu",
    Provider.OPENVINO: "onnxruntime-openvino",
    Provider.MIGRAPHX: "onnxruntime-migraphx",
    Provider.DIRECTML: "onnxruntime-directml",
}
"""Wheels on PyPI with the providers that plain onnxruntime lacks."""

CURES = {
    Provider.CUDA: "install an NVIDIA driver and pip install 'onnxruntime-gpu[cuda,cudnn]'",
    Provider.TENSORRT: (
        "install an NVIDIA driver, pip install 'onnxruntime-gpu[cuda,cudnn]' and the TensorRT that "
        "it was built for (pip install 'tensorrt-cu13<11' where it asks for libnvinfer.so.10)"
    ),
}
"""How to make a provider work that the installed wheel was built with."""

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def offered() -> tuple[Provider, ...]:
    """The providers that the installed ONNX Runtime was built with."""
    built = onnxruntime.get_available_providers()
    return tuple(kind for kind, name in _EXECUTION_PROVIDERS.items() if name in built)


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver can be loaded, without which CUDA can't work."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


def unavailable_reason(provider: Provider) -> str | None:
    """Why a provider is unavailable, as far as visible without a graph; None for no known reason.

    As a side effect, loads CUDA's libraries from NVIDIA's pip packages if they are installed.
    """
    if provider not in offered():
        wheel = WHEELS.get(provider)
        cure = f": pip install {wheel} in place of the one that is installed" if wheel else ""
        return f"this onnxruntime has no {provider.value}{cure}"
    if not provider.is_nvidia:
        return None
    if not has_nvidia_driver():
        return f"no NVIDIA driver here: {_DRIVER} can't be loaded"
    return missing_library(provider)


def missing_library(provider: Provider) -> str | None:
    """Shared library that ONNX Runtime's CUDA or TensorRT provider fails to load, if any."""
    _preload()
    if provider is Provider.TENSORRT:
        _preload_tensorrt()
    folder = Path(onnxruntime.__file__).parent / "capi"
    parts = ("shared", "cuda", provider.value)
    for path in (folder / f"libonnxruntime_providers_{part}.so" for part in dict.fromkeys(parts)):
        if not path.exists():  # another system than Linux: only a session shows it
            continue
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return " ".join(str(error).split())
    return None


def _preload() -> None:
    """Load the libraries of pip's nvidia-* packages; ONNX Runtime prints those it does not find."""
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _preload_tensorrt() -> None:
    """Load the libraries of pip's TensorRT, which neither the system nor ONNX Runtime looks for."""
    found = find_spec("tensorrt_libs")
    for folder in (found and found.submodule_search_locations) or ():
        for name in ("libnvinfer.so.*", "libnvinfer_plugin.so.*", "libnvonnxparser.so.*"):
            for path in sorted(Path(folder).glob(name)):
                with contextlib.suppress(OSError):  # reported by the library that needs it
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
