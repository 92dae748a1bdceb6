"""The embedded scan and its recorded image, to which a running scan is held."""

import pytest

from wnet_edge.embedded import EXAMPLE_SCAN, opened_package
from wnet_edge.framing.framing import Framing
from wnet_edge.io.scan_file import find_scan
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer


@pytest.fixture(scope="module")
def opened():
    package = opened_package("w3")
    return open_best_graph(package, RunnerOptions(provider=Provider.CPU, threads=1))


@pytest.fixture(scope="module")
def found():
    return find_scan(EXAMPLE_SCAN)


@pytest.fixture(scope="module")
def scan(found, opened):
    up = Orientation.IDENTITY
    return Framing(found, opened.package).framed(up, up).scan


@pytest.fixture(scope="module")
def recorded(scan, opened):
    return infer(scan, opened)
