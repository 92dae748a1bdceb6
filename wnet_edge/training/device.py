"""On which device a network trains: the processor, or an NVIDIA card that PyTorch can use.

Frames are made or read on the processor either way, from the same random numbers; only the network
and its optimiser lie on the card. A checkpoint is the same on every device and goes on anywhere.
"""

import os
import warnings
from enum import Enum

import torch

from wnet_edge.errors import TrainingError

PROCESSOR = torch.device("cpu")


class DeviceName(str, Enum):
    """What can be asked for; AUTO is the card where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def training_device(wanted: DeviceName) -> torch.device:
    """The device that was asked for; processes that torchrun started on a machine share its cards.

    Raises:
        TrainingError: if a card was asked for and PyTorch can't use one, with its reason.
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
    """Why PyTorch can't use a card; None if it can."""
    if torch.version.cuda is None:
        return "it was built without CUDA"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # a driver that is too old is only warned of
        try:
            if torch.cuda.is_available():
                torch.ones(1, device="cuda").add_(1)  # a card may be too old for its kernels
                return None
            torch.cuda.current_device()  # says why there is none
        except (RuntimeError, AssertionError) as error:
            return " ".join(str(error).split())
    return " ".join(str(told[-1].message).split()) if told else "no GPU is found"
