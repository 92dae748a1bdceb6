"""`wnet-edge reference`: pty-chi's engines on a small scan whose object is known."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from small_scan import N, SmallScan, corners, probe

from wnet_edge.io.images.located_image import read_hdf5_image
from wnet_edge.io.images.result_file import read_result

pytest.importorskip("ptychi", reason="pty-chi is not installed: make reference")

SCAN = "scan.cxi"


@pytest.fixture(scope="session")
def small() -> SmallScan:
    return SmallScan.taken()


@pytest.fixture
def folder(small, tmp_path, monkeypatch):
    """The working folder, with the scan in it."""
    small.write(tmp_path / SCAN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reference(call, folder):
    """Runs the command; gives what its last line says, and what is on stderr."""

    def run(*words, scan=SCAN, output="out.h5"):
        words = ("--device", "cpu", "--threads", 1, "--force", "--json", *words)
        code, out, err = call("reference", scan, "-o", output, *words)
        assert code == 0, err
        return json.loads(out.splitlines()[-1]), err

    return run


@pytest.mark.parametrize(
    ("engine", "epochs", "least"),
    [("epie", 20, 0.9), ("mpie", 20, 0.95), ("lsqml", 20, 0.9), ("dm", 60, 0.9), ("raar", 60, 0.9)],
)
def test_every_engine_finds_the_object(reference, small, folder, engine, epochs, least):
    said, _ = reference("--engine", engine, "--epochs", 2, output="early.h5")
    assert said["engine"] == engine
    late, err = reference("--engine", engine, "--epochs", epochs, output="late.h5")
    assert small.agreement(folder / "late.h5") > max(least, small.agreement(folder / "early.h5"))
    assert late["r_factor"] < said["r_factor"]
    assert len(late["errors"]) == epochs
    assert len(late["r_factors"]) == epochs + 1
    assert f"epoch {epochs}/{epochs}: R-factor {late['r_factors'][-1]:.4f}" in err
