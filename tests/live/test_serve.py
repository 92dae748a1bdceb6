"""The live page from the command line: `--serve`, and `demo --live`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wnet_edge
from wnet_edge.cli.command_line import command_line

SERVE = ("follow", "scan.cxi", "--serve")
FREE = "127.0.0.1:0"
WITHOUT_BOKEH = (
    "import sys\n"
    "sys.modules['bokeh'] = None\n"
    "from wnet_edge.cli.main import main\n"
    "sys.argv = ['wnet-edge', *sys.argv[1:]]\n"
    "main()\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*SERVE, "0.0.0.0:0"), 1, "--serve 0.0.0.0: other machines can reach this address"),
        ((*SERVE, "beamline:8765", "--token", "short"), 1, "fewer than 8 characters"),
        ((*SERVE, "8765"), 1, "--serve 8765: is not HOST:PORT"),
        ((*SERVE, FREE, "--allow-origin", "*"), 1, "--allow-origin *: is not HOST or HOST:PORT"),
        (("follow", "scan.cxi", "--allow-origin", "a"), 2, "--allow-origin goes with --serve"),
        (("demo", "--no-browser"), 2, "--no-browser goes with --live"),
    ],
)
def test_wrong_usage_is_one_line_before_anything_is_done(call, words, code, message):
    exit_code, out, err = call(*words)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert "live page" not in err


@pytest.mark.parametrize("words", [("--token", "open sesame"), ("--token=open sesame",)])
def test_a_token_is_in_no_record_and_no_message(call, monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["wnet-edge", *SERVE, FREE, *words, "-o", "a b"])
    told = command_line()
    assert "sesame" not in told
    assert told.startswith("wnet-edge follow scan.cxi --serve 127.0.0.1:0 --token")
    assert told.endswith("-o 'a b'")
    assert "sesame" not in "".join(map(str, call(*SERVE, "0.0.0.0:0", "--token=sesame")))


def test_a_token_may_come_from_the_environment(call, monkeypatch):
    monkeypatch.setenv("WNET_EDGE_TOKEN", "sesame")
    _, _, err = call(*SERVE, FREE)
    assert "--token: has fewer than 8 characters" in err
    code, _, err = call("follow", "scan.cxi", "-o", "gone")  # no page: no matter
    assert (code, "token" in err) == (1, False)


@pytest.mark.parametrize("words", [("demo", "--live"), (*SERVE, FREE)])
def test_what_is_missing_is_named_with_the_cure(words):
    program = [sys.executable, "-c", WITHOUT_BOKEH, *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "needs bokeh" in last
    assert last.endswith("pip install 'wnet-edge[live]'")


def test_the_demo_ends_in_the_image_of_a_recorded_scan(call, monkeypatch):
    pytest.importorskip("bokeh")
    monkeypatch.setattr("wnet_edge.cli.demo_live._RATE_HZ", 1000.0)
    monkeypatch.setattr("wnet_edge.cli.demo_live._OPENING_S", 0.0)
    Path("wnet-edge-demo.h5").write_text("of an earlier run")
    code, out, err = call("demo", "--live", "--no-browser", "--json", "--provider", "cpu")
    assert code == 0, err
    assert "live page: http://127.0.0.1:" in err
    last = json.loads(out.splitlines()[-1])
    assert (last["processed"], last["expected"], last["trusted"]) == (481, 481, True)
    assert last["ended"] == "all 481 frames are there"
    assert Path("wnet-edge-demo.png").is_file()
    with wnet_edge.open(provider="cpu") as runner:
        recorded = runner.infer("example:scan247")
    assert wnet_edge.compare("wnet-edge-demo.h5", recorded).phase_correlation >= 0.9999
