"""Options of the TensorRT provider, and the folder of its engines.

Building an engine takes seconds to minutes, so it is done once per package, device and version. Not
yet run on hardware: docs/performance.md.
"""

import hashlib
from pathlib import Path

from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.device import Device
from wnet_edge.runner.graph.run_settings import RunSettings

_KEY_DIGITS = 16


def engine_folder(package: Package, device: Device, cache: Path) -> Path:
    """Folder of the engines of one package on one device with one version of ONNX Runtime.

    TensorRT's version and the GPU architecture are part of the file names that ONNX Runtime uses.
    """
    key = hashlib.sha256(f"{package.sha256} {device.key}".encode("ascii")).hexdigest()
    return cache / "tensorrt" / key[:_KEY_DIGITS]


def tensorrt_options(package: Package, run_settings: RunSettings, folder: Path) -> dict[str, str]:
    """Options of ONNX Runtime's TensorRT provider.

    One engine serves every batch size up to that of the run settings, for which it is tuned. INT8
    follows the graph's Q/DQ nodes, without a TensorRT calibration table.

    Args:
        package: a verified package.
        run_settings: precision and batch size.
        folder: existing folder for engines and timing caches.
    """
    fixed = package.manifest.batch_size
    smallest, largest = (fixed, fixed) if fixed is not None else (1, run_settings.batch_size)
    window = package.manifest.window_px
    options = {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": run_settings.precision.value,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": str(run_settings.precision is Precision.FP16),
        "trt_int8_enable": str(run_settings.precision is Precision.INT8),
    }
    sizes = {"min": smallest, "opt": largest, "max": largest}
    return options | {
        f"trt_profile_{name}_shapes": f"counts:{batch}x1x{window}x{window}"
        for name, batch in sizes.items()
    }
