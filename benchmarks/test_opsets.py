"""Gate: W3 exported at every opset on offer runs, and says what the network says.

Weights do not change the operators, so the network is drawn from a seed. Half a minute of one core.
"""

from pathlib import Path

import onnx
import pytest

from benchmarks.interleaved_latency import plausible_counts
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET
from wnet_edge.export.parity import assert_parity
from wnet_edge.export.trace import export_fp32
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec, build

EXAMPLE = Path(__file__).parents[1] / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
WINDOW_PX = 64


@pytest.fixture(scope="module")
def network():
    spec = NetworkSpec(ModelName.W3, NetworkInput.BACK_PROJECTED)
    return build(spec, seed=0, probe=open_scan(EXAMPLE).probe, window_px=WINDOW_PX).eval()


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, NEWEST_OPSET + 1))
def test_w3_runs_at_every_opset(network, opset):
    graph = export_fp32(network, WINDOW_PX, opset)
    imported = {found.domain: found.version for found in onnx.load_from_string(graph).opset_import}
    assert imported[""] == opset
    assert_parity(graph, network, plausible_counts(8, WINDOW_PX))
