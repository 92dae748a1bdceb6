"""The simulator of areaDetector that APS uses, pvapy-ad-sim-server, as the source of a scan."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from live_faults import GEOMETRY, LOOKS, Taken, stored
from loopback import LOOPBACK

pytest.importorskip("p4p")

SIMULATOR = shutil.which("pvapy-ad-sim-server", path=Path(sys.executable).parent)
PV = "test:sim:Image"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.mark.skipif(SIMULATOR is None, reason="no pvapy")
def test_a_scan_of_the_simulator(call, tmp_path, monkeypatch):
    """It publishes its frames again and again; `uniqueId` goes on."""
    monkeypatch.chdir(tmp_path)
    port = free_port()
    ports = {"EPICS_PVA_BROADCAST_PORT": port, "EPICS_PVAS_BROADCAST_PORT": port}
    for name, value in {**LOOPBACK, **ports}.items():
        monkeypatch.setenv(name, value)
    frames, positions_m = stored()
    np.save("frames.npy", frames)
    np.save("positions.npy", positions_m)
    words = ("-cn", PV, "-if", "frames.npy", "-fps", 120, "-rt", 60, "-std", 5, "-rp", 0, "-dc")
    positions = ("--positions", "positions.npy", "--positions-unit", "m")
    with subprocess.Popen(
        [SIMULATOR, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as simulator:
        code, out, err = call(
            "stream", "--input-pv", PV, *positions, *GEOMETRY, *LOOKS, "--scans", 1
        )
        simulator.kill()
    assert code == 0, err
    (taken,) = Taken.of(out)
    lost = sum(taken.look["lost"].values())
    assert (taken.look["processed"], lost) == (481, 0)
    taken.is_image_of(range(481))
