"""From the last checkpoint of a training to the small file that is kept: weights alone, in half.

What the zoo holds. It exports and starts another training (`--init`), but does not resume.
"""

from dataclasses import replace
from pathlib import Path

from wnet_edge.training.checkpoint import read_checkpoint, write_checkpoint


def release(checkpoint: Path, output: Path) -> None:
    """Write a checkpoint's weights to `output`, in place of what is there.

    Kernels and matrices become float16; vectors (biases, gains, running means and variances) stay
    float32: they weigh little, and a variance may be too small for half.

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
