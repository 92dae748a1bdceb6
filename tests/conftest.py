"""Fixtures that several test files share."""

import signal
import sys
from pathlib import Path

import pytest
from known_data import KnownScanData, small
from tiny import KnownScan

from wnet_edge.cli.main import main
from wnet_edge.package import write_package


def pytest_configure():
    """Programs that tests start hear Ctrl-C, even where the tests run as a background job."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real scans, which the repository does not hold."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scans on this machine")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A cache of each test's own: what `wnet-edge tune` measured for the user decides nothing."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def call(monkeypatch, capfd):
    """Runs `wnet-edge` with arguments; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["wnet-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        said = capfd.readouterr()
        return done.value.code or 0, said.out, said.err

    return run


@pytest.fixture(scope="module")
def known() -> KnownScan:
    """A scan of a known object, with the package that knows its patches."""
    return KnownScan()


@pytest.fixture(scope="module")
def small_scan() -> KnownScanData:
    """Frames, positions, geometry, mask and probe, for the files that readers read."""
    return small()


@pytest.fixture
def here(tmp_path, monkeypatch, known):
    """A folder with a scan and the package that knows it."""
    monkeypatch.chdir(tmp_path)
    known.write(tmp_path / "scan.cxi")
    write_package(tmp_path / "known.wnet", known.content())
    return tmp_path
