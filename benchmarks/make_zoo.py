"""Puts trained weights into the zoo: half precision, without the optimiser.

    python benchmarks/make_zoo.py runs/w3.safetensors …

Each goes to wnet_edge/zoo/MODEL-cnm26id.safetensors; `wnet-edge export --model MODEL` makes the
package from it, `make packages` all of them.
"""

import sys
from pathlib import Path

from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.zoo_weights import release

ZOO = Path(__file__).parents[1] / "wnet_edge" / "zoo"


def main(checkpoints: list[str]) -> None:
    """Release each checkpoint under its model's name."""
    for checkpoint in map(Path, checkpoints):
        model = read_checkpoint(checkpoint).record.network.model.value
        output = ZOO / f"{model}-cnm26id.safetensors"
        release(checkpoint, output)
        sys.stdout.write(f"{output}: {output.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
