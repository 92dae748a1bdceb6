"""Release of trained weights: the last checkpoint without optimiser state, weights in float16.

The format of the weights that ship with wnet-edge. They can be exported and start another training
(`--init`), but not be resumed.
"""

from dataclasses import replace
from pathlib import Path

from wnet_edge.training.checkpoint import read_checkpoint, write_checkpoint


def release(checkpoint: Path, output: Path) -> None:
    """Write a checkpoint's weights to `output`, replacing an existing file.

    Kernels and matrices become float16; vectors (biases, gains, running means and variances) stay
    float32: they are small, and a variance may be too small for float16.

    Raises:
        CheckpointError: if the checkpoint is missing or damaged, or `output` can't be written.
    """
    source = read_checkpoint(checkpoint)
    weights = {
        name: tensor.half() if tensor.ndim > 1 else tensor
        for name, tensor in source.tensors.items()
        if name.startswith("model.")
    }
    record = replace(source.record, settings={**source.record.settings, "weights": "float16"})
    write_checkpoint(output, record, source.instrument, dict(sorted(weights.items())))
