"""pvaPy's own distributor, two consumers and a collector give the image of one machine."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from loopback import LOOPBACK

pytest.importorskip("p4p")
pytest.importorskip("pvapy")

import wnet_edge
from wnet_edge.live.pv_publisher import PvPublisher

PROGRAMS = Path(sys.executable).parent
ARGUMENTS = (
    '{"scan": "example:scan247", "package": "w3", "provider": "cpu", "threads": 1, '
    '"count": 481, "look_s": 0.5}'
)
SHARED = ("-sqs", "2000", "-dc", "-rp", "0.5")
CONNECTED = re.compile(r"'nReceived': [1-9]")
LONGEST_S = 150


@pytest.fixture
def environment():
    """Nothing leaves this machine, and nobody else's processes answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ports = dict.fromkeys(("EPICS_PVA_BROADCAST_PORT", "EPICS_PVAS_BROADCAST_PORT"), port)
    return LOOPBACK | ports


@pytest.fixture
def start(environment, tmp_path):
    """Starts one of pvaPy's programs; gives the file of what it says."""
    with ExitStack() as stack:

        def program(name, *words):
            said = tmp_path / f"{name}-{len(list(tmp_path.glob('*.txt')))}.txt"
            with said.open("w") as out:
                process = subprocess.Popen(
                    [PROGRAMS / name, *words],
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=tmp_path,
                    env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
                )
            stack.enter_context(process)
            stack.callback(process.send_signal, signal.SIGKILL)
            return said

        yield program


def wait_until(done, *said):
    until = time.monotonic() + LONGEST_S
    while not done():
        texts = "\n".join(one.read_text() for one in said)
        assert time.monotonic() < until, texts
        time.sleep(0.1)


def test_two_consumers_and_a_collector_give_the_image_of_infer(environment, start, tmp_path):
    with wnet_edge.open("w3", provider="cpu") as runner:
        recorded = runner.infer("example:scan247")
    scan = wnet_edge.read_scan("example:scan247")
    publisher = PvPublisher("hpc:Image", conf=environment)
    start("pvapy-mirror-server", "-cm", "(hpc:Frames,hpc:Image,pva,2000)")
    of_ours = ("-pa", ARGUMENTS, "-pc")
    consumers = [
        start(
            *("pvapy-hpc-consumer", "-id", number, "-ic", "hpc:Frames", "-oc", "hpc:Patches:*"),
            *("-rqs", "2000", "-dg", "wnet", "-du", "1", "-dt", "uniqueId", *SHARED),
            *(*of_ours, "wnet_edge.cli.hpc_consumer.Consumer"),
        )
        for number in "12"
    ]
    collector = start(
        *("pvapy-hpc-collector", "-pid", "1,2", "-ic", "hpc:Patches:*", *SHARED),
        *("-ccs", "481", "-siu", "0"),  # on a busy machine one consumer may be far behind the other
        *(*of_ours, "wnet_edge.cli.hpc_collector.Collector"),
    )
    said = (*consumers, collector)
    wait_until(lambda: all(CONNECTED.search(one.read_text()) for one in said), *said)
    wait_until(lambda: _producers(collector.read_text()) == 2, *said)
    publisher.publish(scan.frames, scan.positions_m, 200.0)
    wait_until(lambda: "(the last of its 481 frames has come)" in collector.read_text(), *said)
    publisher.close()
    assert "481 of 481 frames, 0 lost" in collector.read_text()
    (result,) = tmp_path.glob("hpc_Patches_*.wnet.h5")
    assert wnet_edge.compare(result, recorded).phase_correlation >= 0.9999
    made = [int(re.findall(r"'nPatches': (\d+)", one.read_text())[-1]) for one in consumers]
    assert min(made) > 0


def _producers(said):
    """Consumers to which the collector is connected, by its last report."""
    last = said.rpartition("'producerStats'")[2]
    return len(CONNECTED.findall(last))


def test_wrong_arguments_end_the_program_with_a_line(start):
    said = start(
        *("pvapy-hpc-consumer", "-ic", "a", "-dc", "-pa", '{"scan": "gone.cxi"}'),
        *("-pc", "wnet_edge.cli.hpc_consumer.Consumer"),
    )
    wait_until(lambda: "gone.cxi" in said.read_text(), said)
    assert said.read_text().count("\n") == 1
    assert said.read_text().startswith("Error: gone.cxi: ")
