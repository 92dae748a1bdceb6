"""PyTorch's compiler, which optimisers and the ONNX exporter import, without the folder it leaves.

As it is imported it makes one for compiled code, of which there is none here, in the temporary
folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def no_compiler_folder() -> Iterator[None]:
    """What imports the compiler in the block is told of a folder that is there already."""
    if _FOLDER in os.environ:
        yield
        return
    os.environ[_FOLDER] = str(Path(torch.__file__).parent)
    try:
        yield
    finally:
        os.environ.pop(_FOLDER, None)
