"""Ctrl-C, SIGTERM and SIGHUP: one line, an exit code, nothing left behind, whenever they come."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from bad_calls import _long_scan

from wnet_edge.cli.main import main
from wnet_edge.host import interrupts
from wnet_edge.host.interrupts import held_back, interruptible, stoppable
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings

LONG = ("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu", "--batch-size", "1")
STARTED = """
import sys
print("started", flush=True)
from wnet_edge.cli.main import main
main()
"""
IN_PYTHON = """
import os, signal, sys, time
{before}
from wnet_edge.cli import main as program
def command(*_, **__):
    {during}
program.group.main = command
sys.argv = ["wnet-edge", "x"]
program.main()
"""


def in_python(during, before="pass", **kwargs):
    """The program with other work in a command's place; exit code, stdout, stderr."""
    script = IN_PYTHON.format(during=during.replace("\n", "\n    "), before=before)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False,
        **kwargs,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 1), ("SIGTERM", 128 + 15), ("SIGHUP", 128 + 1)]
)
def test_every_signal_ends_a_command_alike(name, code):
    during = f"try:\n    os.kill(os.getpid(), signal.{name}); time.sleep(90)\nfinally:\n"
    during += "    print('cleaned up')"
    before = "signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # under nohup it is ignored
    assert in_python(during, before) == (code, "cleaned up\n", "Error: interrupted\n")


def test_a_signal_that_is_ignored_stays_so():
    during = "os.kill(os.getpid(), signal.SIGHUP); time.sleep(0.2); print('done'); return 0"
    before = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert in_python(during, before) == (0, "done\n", "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_a_library_makes_of_a_signal_is_no_fault_of_its_own(name):
    during = f"try:\n    os.kill(os.getpid(), signal.{name}); time.sleep(90)\n"
    during += "except KeyboardInterrupt:\n    raise ImportError('numpy._core failed to import')"
    code, _, err = in_python(during)
    assert code == {"SIGINT": 1, "SIGTERM": 143}[name]
    assert err == "Error: interrupted\n"


def test_a_signal_that_comes_upon_a_destructor_is_not_lost():
    during = """
class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
Lost()
time.sleep(90)
"""
    started = time.monotonic()
    assert in_python(during) == (1, "", "Error: interrupted\n")
    assert time.monotonic() - started < 80


def test_the_third_signal_ends_what_hangs_and_leaves_no_file(tmp_path):
    during = """
import threading
from pathlib import Path
from wnet_edge.errors import ScanError
from wnet_edge.host.outputs import replacing
def hang():
    while True:
        try:
            time.sleep(90)
        except KeyboardInterrupt:
            pass
threading.Thread(target=hang).start()
def insist():
    for _ in range(3):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=insist).start()
with replacing(Path("out"), ScanError, force=False) as temporary:
    temporary.write_text("half")
    hang()
"""
    code, _, err = in_python(during, cwd=tmp_path)
    assert code == 143
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_still_works_does_not_keep_the_process():
    during = "import threading\nthreading.Thread(target=time.sleep, args=(90,)).start()\n"
    during += "os.kill(os.getpid(), signal.SIGINT); time.sleep(90)"
    started = time.monotonic()
    assert in_python(during) == (1, "", "Error: interrupted\n")
    assert time.monotonic() - started < 80


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 143)])
def test_a_run_is_ended_at_any_moment_and_leaves_nothing(here, number, code):
    _long_scan(here)
    before = sorted(here.iterdir())
    for wait_s in (0.4, 0.8, 1.2, 1.6):
        with subprocess.Popen(
            [sys.executable, "-c", STARTED, *LONG],
            cwd=here,
            env=os.environ | {"TMPDIR": str(here)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.readline()
            time.sleep(wait_s)
            for _ in range(2):
                process.send_signal(number)
                time.sleep(0.02)
            _, err = process.communicate(timeout=100)
        # Before main has begun the signal does what it does to any program.
        assert process.returncode in (code, -number)
        assert err.count("\n") <= 1
        assert err == "" or err.startswith("Error: interrupted")
        assert sorted(here.iterdir()) == before


def test_an_import_that_is_interrupted_says_one_line(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, time\nos.kill(os.getpid(), 2)\ntry:\n    time.sleep(9)\n"
        "except BaseException as error:\n    raise ImportError('swallowed') from error\n"
    )
    before = (
        "import sys; sys.path.insert(0, '.')\nfrom wnet_edge.host.interrupts import leaving_at_once"
    )
    during = "with leaving_at_once():\n    import slow"
    assert in_python(during, before, cwd=tmp_path) == (1, "", "Error: interrupted\n")


def test_handlers_are_as_they_were_after_a_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["wnet-edge", "--version"])
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(SystemExit):
        main()
    assert [signal.getsignal(number) for number in numbers] == before
    assert not [t for t in threading.enumerate() if t.name == "signals"]


def test_a_command_runs_in_a_thread_of_another_program():
    done = []

    def run():
        with interruptible(), held_back():
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done


def test_the_first_signal_stops_a_graph_in_whatever_thread_it_runs(here):
    from wnet_edge.errors import ProviderError
    from wnet_edge.package.manifest import Precision
    from wnet_edge.package.opening import open_package

    package = open_package(here / "known.wnet")
    graph = OpenGraph(package, RunSettings(Precision.FP32, Provider.CPU))
    counts = package.golden.counts
    graph.run(counts)
    assert graph in stoppable
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            graph.run(counts)
        except ProviderError:
            break
    with pytest.raises(ProviderError, match="terminate"):
        graph.run(counts)
    assert interrupts.exit_code() == 143
