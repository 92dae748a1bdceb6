"""The edge install: what its modules import, seen from a fresh interpreter."""

import json
import subprocess
import sys

import pytest

ALLOWED = {"wnet_edge", "numpy", "h5py", "hdf5plugin", "click", "onnxruntime", "platformdirs"}
"""Third-party packages that inference may import; pictures come later, when one is asked for."""

LISTING = """
import json, sys
from importlib import import_module
before = set(sys.modules)
for name in {names!r}:
    import_module(name)
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(new - sys.stdlib_module_names)))
"""

RUNNER = [
    "measuring.bench",
    "choosing.choice",
    "image.job",
    "doctor.checkup",
    "measuring.evaluation",
]
EDGE_COMMANDS = [
    "infer",
    "follow",
    "stream",
    "replay",
    "reference",
    "demo",
    "example",
    "evaluate",
    "inspect",
    "verify",
    "tune",
    "bench",
    "doctor",
]


def imported(*names):
    """Top-level packages, the standard library's aside, that importing `names` brings in."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING.format(names=names)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "names",
    [
        [f"wnet_edge.runner.{name}" for name in RUNNER],
        ["wnet_edge.io.readers.cxi", "wnet_edge.io.writers.cxi_writer"],
        *([f"wnet_edge.cli.{name}"] for name in EDGE_COMMANDS),
    ],
    ids=lambda names: names[0],
)
def test_edge_modules_keep_to_the_list(names):
    # Compiled modules and editable installs register helpers under names of their own.
    public = {name for name in imported(*names) if not name.startswith("_")}
    assert public - {"cython_runtime"} <= ALLOWED


def test_a_scan_loads_what_it_needs():
    """What other scans, formats and options need is loaded for them."""
    script = (
        "import sys\n"
        "import wnet_edge.cli.infer\n"
        "from wnet_edge.embedded import EXAMPLE_SCAN\n"
        "from wnet_edge.io.scan_file import find_scan\n"
        "find_scan(EXAMPLE_SCAN)\n"
        "print('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "wnet_edge.io.readers.cxi" in loaded
    unused = {
        f"wnet_edge.io.readers.{name}" for name in ("eiger", "flag_overrides", "nexus", "npz")
    }
    unused |= {f"wnet_edge.io.{name}" for name in ("containers.tiff.frames", "writers.cxi_image")}
    unused |= {f"wnet_edge.runner.image.{name}" for name in ("position_refinement", "refinement")}
    unused |= {"wnet_edge.comparing", "hdf5plugin", "importlib.metadata", "PIL", "tomllib"}
    assert not unused & loaded


def test_help_imports_no_command():
    script = (
        "import sys\n"
        "from wnet_edge.cli.main import main\n"
        "sys.argv = ['wnet-edge', '-h']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as done:\n"
        "    assert not done.code\n"
        "heavy = {'torch', 'onnx', 'scipy', 'onnxruntime', 'h5py', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "infer" in done.stdout
