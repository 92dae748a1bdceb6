"""The documents tell what is true: commands run, pages are as generated, links lead somewhere."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from bad_case import Outcome, in_process
from live_faults import ROWS, rows_of_page

from wnet_edge.cli.main import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_the_page_of_commands_is_as_the_program_prints_it():
    page = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))["page"]()
    assert (ROOT / "docs" / "commands.md").read_text("utf-8") == page, "run `make docs`"
    for name in COMMANDS:
        assert f"## {name}\n" in page


def test_every_command_has_help_of_its_own():
    for name, line in COMMANDS.items():
        assert line
        done = in_process(ROOT, (name, "-h"))
        assert done.code == 0
        assert f"Usage: wnet-edge {name} " in done.out


def run(folder: Path, words: list[str]) -> Outcome:
    """Our commands without starting a process for each, which imports PyTorch anew."""
    program, *arguments = words
    if program == "wnet-edge":
        return in_process(folder, tuple(arguments))
    assert program == "openssl"
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.timeout(1200)  # the README alone takes minutes, more on a busy machine
@pytest.mark.parametrize(
    ("document", "least", "output"),
    [
        ("README.md", 12, "out.png"),
        ("docs/packages.md", 8, "scan247.wnet.png"),
        ("docs/precisions.md", 3, "scan247.wnet.png"),
        ("docs/devices.md", 3, "scan247.wnet.png"),
    ],
)
def test_the_commands_of_a_document_run_in_order_in_an_empty_folder(
    tmp_path: Path, document: str, least: int, output: str
):
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line]
    assert len(commands) >= least
    for command in commands:
        done = run(tmp_path, shlex.split(command))
        assert done.code == 0, f"{command}\n{done.err}"
    assert (tmp_path / output).read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(1200)
def test_the_python_of_the_readme_runs_in_order_in_an_empty_folder(tmp_path: Path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    script = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdict, figures, patches, correlation, scan = done.stdout.splitlines()
    assert verdict.endswith(": trusted")
    assert figures.startswith("(448, 444) ")
    assert patches == "(8, 64, 64)"
    assert float(correlation) > 0.95
    assert scan.startswith("(481, 64, 64) Geometry(energy_ev=10000")
    assert {path.name for path in tmp_path.iterdir()} >= {
        *("python.h5", "python.png", "dots.cxi", "small.safetensors", "w3-fp32.wnet"),
    }


def test_the_table_of_faults_is_as_the_tests_hold_it():
    assert rows_of_page() == "".join(row.line for row in ROWS.values()), "run `make docs`"
    of_sources = {"PV": "pv", "ZeroMQ": "zmq", "file": "file"}
    for name, row in ROWS.items():
        for source in row.over.split(", "):
            test = ROOT / "tests" / "live" / f"test_faults_{of_sources[source]}.py"
            assert f'"{name}"' in test.read_text("utf-8"), f"{source}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_names_a_file_of_the_repository_s(document: Path):
    text = document.read_text("utf-8")
    for line in re.findall(r"^ *(?:wnet-edge|torchrun) .*$", text, flags=re.MULTILINE):
        named = [word for word in line.split() if word.startswith(("wnet_edge/", "tests/"))]
        assert not named, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
