"""The house stands as drawn: packages, links, floors, files of one idea."""

import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    pytest.skip("tomllib came with Python 3.11", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_package_list_is_the_folders():
    inside = {_dotted(path.parent) for path in (ROOT / "wnet_edge").rglob("__init__.py")}
    # rglob follows no links: the two rooms at the top, and what is in them.
    at_the_top = {
        f"wnet_edge.{_dotted(path.parent)}": str(path.parent.relative_to(ROOT))
        for room in ("export", "calibration")
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert sorted(inside | set(at_the_top)) == PROJECT["tool"]["setuptools"]["packages"]
    assert at_the_top == PROJECT["tool"]["setuptools"]["package-dir"]


def _dotted(folder):
    return ".".join(folder.relative_to(ROOT).parts)


@pytest.mark.parametrize("room", ["export", "calibration"])
def test_rooms_at_the_top_are_linked_into_the_package(room):
    link = ROOT / "wnet_edge" / room
    assert link.is_symlink()
    assert link.resolve() == ROOT / room


def test_imports_run_downwards():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_edge_needs_nothing_of_the_workshop():
    edge = " ".join(PROJECT["project"]["dependencies"])
    for heavy in ("torch", "onnxscript", "scipy", "safetensors", "matplotlib"):
        assert heavy not in edge


def test_a_file_is_one_idea():
    files = [p for d in ("wnet_edge", "export", "calibration") for p in (ROOT / d).rglob("*.py")]
    long = {str(p): n for p in files if (n := len(p.read_text("utf-8").splitlines())) > 400}
    assert not long
