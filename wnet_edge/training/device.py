"""Device for training: the CPU, or an NVIDIA GPU that PyTorch can use.

Frames are simulated or read on the CPU in either case, from the same random numbers; only the
network and its optimiser are on the GPU. Checkpoints can be resumed on any device.
"""

import os
import warnings
from enum import Enum

import torch

from wnet_edge.errors import TrainingError

PROCESSOR = torch.device("cpu")


class DeviceName(str, Enum):
    """Devices that can be requested; AUTO is the GPU if available, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def training_device(wanted: DeviceName) -> torch.device:
    """The requested device; the processes of torchrun on a machine are spread over its GPUs.

    Raises:
        TrainingError: if a GPU was requested and PyTorch can't use one, with the reason.
    """
    if wanted is DeviceName.CPU:
        return PROCESSOR
    fault = _cuda_fault()
    if fault is None:
        return torch.device(
            "cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
        )
    if wanted is DeviceName.CUDA:
        raise TrainingError(
            f"--device cuda: PyTorch {torch.__version__} can't use a GPU here ({fault}); give "
            "--device cpu, or install NVIDIA's driver and a PyTorch that was built for it"
        )
    return PROCESSOR


def _cuda_fault() -> str | None:
    """Why PyTorch can't use a GPU; None if it can."""
    if torch.version.cuda is None:
        return "it was built without CUDA"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # a driver that is too old only gives a warning
        try:
            if torch.cuda.is_available():
                torch.ones(1, device="cuda").add_(1)  # the GPU may be too old for its kernels
                return None
            torch.cuda.current_device()  # raises with the reason
        except (RuntimeError, AssertionError) as error:
            return " ".join(str(error).split())
    return " ".join(str(told[-1].message).split()) if told else "no GPU is found"
