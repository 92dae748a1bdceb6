"""The search for W3's shape: accuracy and ONNX Runtime latency together, with its table kept.

    python -m benchmarks.search_w3 [--only NAME …] [--frames N] [--seed N] [--threads N]
    python -m benchmarks.search_w3 --time
    python -m benchmarks.search_w3 --table

Needs a clone alone. Each shape of `shapes` is trained on the same simulated frames and timed
against PtychoNN; its line is appended to results.jsonl here, so that a search that was stopped goes
on where it was, and the tables in docs/w3_search.md and the figure are written anew. --time times
all shapes of the file in turn, best on an idle machine; --table writes tables and figure alone.
Fewer frames rank more shapes in the same time; the best deserve more frames.
"""

import argparse

import torch

from benchmarks.search_w3.search import DEFAULT_FRAMES, Places, SearchOptions, search, time_anew
from benchmarks.search_w3.shapes import SHAPES
from benchmarks.search_w3.table import read_records, write_page
from benchmarks.search_w3.timing import TimingOptions
from benchmarks.search_w3.training import BATCH_FRAMES


def main() -> None:
    """Parse, search."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.search_w3", description=__doc__.splitlines()[0]
    )
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--frames", type=int, default=DEFAULT_FRAMES, help="a shape's training")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    parser.add_argument("--threads", type=int, default=1, help="of training; timing takes one")
    parser.add_argument("--time", action="store_true", help="time what is known anew, in turn")
    parser.add_argument("--table", action="store_true", help="write tables and figure alone")
    arguments = parser.parse_args()
    places = Places()
    if arguments.table or arguments.time:
        records = read_records(places.results)
        if not records:
            parser.error(f"{places.results} holds nothing yet")
        if arguments.time:
            time_anew(TimingOptions(), places)
        else:
            write_page(records, places.page, places.figure)
        return
    if arguments.frames < BATCH_FRAMES:
        parser.error(f"--frames: at least a batch of {BATCH_FRAMES}")
    torch.set_num_threads(arguments.threads)
    shapes = tuple(shape for shape in SHAPES if shape.name in arguments.only)
    search(shapes, SearchOptions(arguments.frames, seed=arguments.seed), places)


if __name__ == "__main__":
    main()
