"""Which execution providers ONNX Runtime has here, and what one of them lacks.

A wheel lists the providers that it was built with, not those that work: CUDA's libraries or the
driver may be missing. What can be seen without a graph is seen here, at little cost; whether a
provider really works, only a graph tells (`wnet_edge.runner.choosing.choice`).
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
    """Where a graph runs; AUTO takes the best that works (`wnet_edge.runner.choosing.choice`)."""

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
        """Whether it needs NVIDIA's driver and keeps tensors in the card's memory."""
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
"""On PyPI, for those that plain onnxruntime lacks."""

CURES = {
    Provider.CUDA: "install an NVIDIA driver and pip install 'onnxruntime-gpu[cuda,cudnn]'",
    Provider.TENSORRT: (
        "install an NVIDIA driver, pip install 'onnxruntime-gpu[cuda,cudnn]' and the TensorRT that "
        "it was built for (pip install 'tensorrt-cu13<11' where it asks for libnvinfer.so.10)"
    ),
}
"""What gives a machine a provider that a wheel has and that does not work."""

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def offered() -> tuple[Provider, ...]:
    """The providers that the installed ONNX Runtime was built with."""
    built = onnxruntime.get_available_providers()
    return tuple(kind for kind, name in _EXECUTION_PROVIDERS.items() if name in built)


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver can be loaded: without it there is no use in trying CUDA."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


def unavailable_reason(provider: Provider) -> str | None:
    """What keeps a provider from working, as far as that is seen without a graph; None: nothing.

    Loads CUDA's libraries from NVIDIA's pip packages, where there are any, on the way.
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
    """Which library ONNX Runtime's CUDA or TensorRT part asks the system for in vain, if any."""
    _preload()
    if provider is Provider.TENSORRT:
        _preload_tensorrt()
    folder = Path(onnxruntime.__file__).parent / "capi"
    parts = ("shared", "cuda", provider.value)
    for path in (folder / f"libonnxruntime_providers_{part}.so" for part in dict.fromkeys(parts)):
        if not path.exists():  # another system than Linux: only a session tells
            continue
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return " ".join(str(error).split())
    return None


def _preload() -> None:
    """Finds the libraries of pip's nvidia-* packages; ONNX Runtime prints what it does not find."""
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _preload_tensorrt() -> None:
    """Loads the libraries of pip's TensorRT: neither the system nor ONNX Runtime looks for them."""
    found = find_spec("tensorrt_libs")
    for folder in (found and found.submodule_search_locations) or ():
        for name in ("libnvinfer.so.*", "libnvinfer_plugin.so.*", "libnvonnxparser.so.*"):
            for path in sorted(Path(folder).glob(name)):
                with contextlib.suppress(OSError):  # told by what asks for it
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
