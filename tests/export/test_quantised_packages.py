"""Packages with INT8 graphs: right on this processor, or refused by `verify`."""

import json

import numpy as np
import pytest
import tiny_network
from click.testing import CliRunner
from tiny import content

from wnet_edge.calibration.ranges import RangeMethod, find_ranges
from wnet_edge.cli.main import group
from wnet_edge.export.int8.quantise import Scheme, quantised
from wnet_edge.export.run_graph import exact_patches
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.packing import Graph, write_package
from wnet_edge.runner.graph.processor import has_vnni
from wnet_edge.runner.graph.session_settings import X64_PRECISION

TOLERANCE = Tolerance(amplitude=0.05, phase_rad=0.1, phase_rms_rad=0.01)


@pytest.fixture(scope="module")
def bright():
    """Frames whose activations come near the top of their range everywhere."""
    return tiny_network.counts(8) + np.float32(400)


@pytest.fixture(scope="module")
def graphs(bright):
    graph = tiny_network.tiny_network(seed=3)
    ranges = find_ranges(graph, bright, RangeMethod.MINMAX)
    kinds = (Precision.INT8, Precision.INT8_U8S8)
    return {Precision.FP32: graph, **{k: quantised(graph, ranges, Scheme(k)) for k in kinds}}


def packed(path, graphs, counts, *, safe):
    """A package of `graphs` with exact golden outputs; `safe` as export has it."""
    settings = {X64_PRECISION: True} if safe else {}
    write_package(
        path,
        content(
            window_px=tiny_network.WINDOW_PX,
            graphs={kind: Graph(g, 17, settings or None) for kind, g in graphs.items()},
            golden=GoldenFrames(counts, {k: exact_patches(g, counts) for k, g in graphs.items()}),
            tolerance=dict.fromkeys(graphs, TOLERANCE),
        ),
    )
    return path


def verify(*words):
    return CliRunner().invoke(group, ["verify", *map(str, words), "--provider", "cpu", "--json"])


def checks(done):
    told = json.loads(done.stdout.splitlines()[0])
    return told["passed"], {check["precision"]: check["passed"] for check in told["checks"]}


def test_int8_as_exported_is_right_here(graphs, bright, tmp_path):
    done = verify(packed(tmp_path / "p.wnet", graphs, bright, safe=True))
    assert checks(done) == (True, {"fp32": True, "int8": True, "int8-u8s8": True})
    assert done.exit_code == 0


@pytest.mark.skipif(has_vnni() is not False, reason="this processor has VNNI: nothing saturates")
def test_naive_int8_is_refused_where_products_saturate_and_narrow_weights_never_do(
    graphs, bright, tmp_path
):
    path = packed(tmp_path / "p.wnet", graphs, bright, safe=False)
    done = verify(path)
    assert checks(done) == (True, {"fp32": True, "int8": False, "int8-u8s8": True})
    assert done.exit_code == 0  # fp32 is what infer takes
    named = verify(path, "--precision", "int8")
    assert named.exit_code == 1
    only = {Precision.INT8: graphs[Precision.INT8]}
    assert verify(packed(tmp_path / "q.wnet", only, bright, safe=False)).exit_code == 1
