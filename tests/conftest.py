"""Fixtures that several test files share."""

import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from bad_case import good_folder
from fake_card import fake_card
from known_data import KnownScanData, small
from tiny import KnownScan

from wnet_edge.cli.main import main


def pytest_configure():
    """Programs that tests start hear Ctrl-C, even where the tests run as a background job."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """The slow files come first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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


@pytest.fixture
def nvidia(monkeypatch, tmp_path_factory):
    """Lets there be a card or none, a driver or none: `nvidia(card=True, driver=False)`."""
    return partial(fake_card, monkeypatch, tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="session")
def known() -> KnownScan:
    """A scan of a known object, with the package that knows its patches."""
    return KnownScan()


@pytest.fixture(scope="session")
def small_scan() -> KnownScanData:
    """Frames, positions, geometry, mask and probe, for the files that readers read."""
    return small()


@pytest.fixture(scope="session")
def good(tmp_path_factory, known) -> Path:
    """A folder with a scan and the package that knows it, which no test changes."""
    folder = tmp_path_factory.mktemp("good")
    good_folder(folder, known)
    return folder


@pytest.fixture
def here(good, tmp_path, monkeypatch) -> Path:
    """The working folder, a copy of `good` that the test may spoil; nothing lies beside it."""
    folder = Path(shutil.copytree(good, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder
