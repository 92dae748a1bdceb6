"""Importing PyTorch's compiler without leaving a folder in the temporary directory.

Optimisers and the ONNX exporter import it; on import it creates a cache folder for compiled code,
which is not needed here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

COMPILER_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
"""Environment variable that names the compiler's folder."""


@contextmanager
def no_compiler_folder() -> Iterator[None]:
    """Context in which an import of the compiler uses an existing folder as its cache."""
    if COMPILER_FOLDER in os.environ:
        yield
        return
    os.environ[COMPILER_FOLDER] = str(Path(torch.__file__).parent)
    try:
        yield
    finally:
        os.environ.pop(COMPILER_FOLDER, None)
