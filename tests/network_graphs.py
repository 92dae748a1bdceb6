"""FP32 graphs to test the export's passes on: the zoo's W3, and others narrow and shallow.

Between them they hold every operator that a network here has.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from tiny import gaussian_probe

from wnet_edge.embedded import find_package, zoo_checkpoint
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.back_projection import BackProjection
from wnet_edge.models.ptychonn import PtychoNN, PtychoNNConfig
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.models.w1 import W1, W2Config
from wnet_edge.package.opening import open_package
from wnet_edge.training.checkpoint import load_network

NAMES = ("w3", "w2", "ptychonn")
_WINDOW_PX = 32


@dataclass(frozen=True)
class NetworkGraph:
    """An FP32 graph and frames (N, 1, H, W) for it."""

    content: bytes
    counts: np.ndarray


@cache  # the exporter takes seconds
def network_graph(name):
    """One of `NAMES`; W3 is the zoo's: trained, and with measured frames."""
    if name == "w3":
        network, _ = load_network(zoo_checkpoint("w3"))
        counts = open_package(find_package("w3")).golden.counts[:4]
        return NetworkGraph(export_fp32(network, counts.shape[-1]), counts)
    y, x = np.indices((_WINDOW_PX, _WINDOW_PX)) - _WINDOW_PX // 2
    beam = 3e3 * np.exp(-(y**2 + x**2) / 30)
    counts = np.random.default_rng(2).poisson(beam, (4, 1, _WINDOW_PX, _WINDOW_PX))
    content = export_fp32(_w2() if name == "w2" else _ptychonn(), _WINDOW_PX)
    return NetworkGraph(content, counts.astype(np.float32))


def _w2():
    config = W2Config(
        input_channels=3,
        skips=True,
        widths=(8, 8, 8, 8),
        depths=(1, 0, 0, 0),
        decoder_widths=(8, 8, 8, 8),
    )
    return CountsNetwork(W1(config), BackProjection(gaussian_probe(2 * _WINDOW_PX), _WINDOW_PX))


def _ptychonn():
    return CountsNetwork(PtychoNN(PtychoNNConfig(1, (4, 8, 8), (8, 8, 4))))
