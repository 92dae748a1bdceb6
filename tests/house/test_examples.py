"""The embedded examples by name: wherever a scan is asked for, and as files."""

import json

import h5py
import pytest

from wnet_edge.cli.main import COMMANDS, group
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, EXAMPLES, PREFIX


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_example_is_taken_to_an_image_named_after_it(empty, call):
    code, out, err = call("infer", "example:scan247", "--provider", "cpu")
    assert (code, err) == (0, "")
    assert "image: scan247.wnet.h5\npicture: scan247.wnet.png\n" in out
    assert sorted(path.name for path in empty.iterdir()) == ["scan247.wnet.h5", "scan247.wnet.png"]
    code, out, _ = call("compare", "scan247.wnet.h5", "example:scan247-reference", "--json")
    assert json.loads(out)["phase_correlation"] > 0.94


def test_a_dataset_of_an_example_can_be_named(empty, call):
    with h5py.File(empty / "frames.h5", "w") as file, h5py.File(EXAMPLE_SCAN) as example:
        file["frames"] = example["/entry_1/data_1/data"][:]
    table = "example:scan247:/entry_1/sample_1/geometry_1/translation"
    code, out, err = call("inspect", "frames.h5", "--frames", "/frames", "--positions", table)
    assert (code, err) == (0, "")
    assert "count: 481" in out
    assert f"where: {EXAMPLE_SCAN}:/entry_1/sample_1/geometry_1/translation" in out


@pytest.mark.parametrize(
    "words",
    [
        ("infer", "example:no"),
        ("inspect", "example:no"),
        ("compare", "example:no", "example:scan247-reference"),
        ("compare", "example:scan247-reference", "example:no"),
        ("evaluate", "w3", "--data", "example:no"),
        ("evaluate", "w3", "--data", "example:scan247", "--reference", "example:no"),
        ("export", "--model", "w3", "--calibration", "example:no"),
        ("export", "--model", "w3", "--reference", "example:no"),
        ("train", "--model", "w3", "-o", "c", "--probe", "example:no"),
        ("train", "--model", "w3", "-o", "c", "--data", "example:no"),
        (
            "train",
            "--model",
            "w3",
            "-o",
            "c",
            "--data",
            "example:scan247",
            "--labels",
            "example:no",
        ),
        ("simulate", "-o", "s.cxi", "--probe", "example:no"),
        ("infer", "example:scan247", "--positions", "example:no"),
        ("infer", "example:scan247", "--probe", "example:no:/probe"),
        ("infer", "example:scan247", "--mask", "example:no"),
    ],
)
def test_an_unknown_example_is_one_line_with_all_that_there_are(call, empty, words):
    code, out, err = call(*words)
    assert (code, out) == (1, "")
    known = ", ".join(PREFIX + name for name in EXAMPLES)
    assert err == f"Error: example:no: no such example; choose from {known}, or ./example:no\n"
    assert not list(empty.iterdir())


def test_a_file_of_that_name_is_meant_by_its_folder(empty, call):
    (empty / "example:mine").write_text("no scan")
    code, _, err = call("infer", "./example:mine")
    assert code == 1
    assert "is not a scan file" in err


def test_every_command_that_takes_a_scan_names_one_in_its_help(call):
    for name in ("infer", "compare", "evaluate", "export", "example"):
        assert "example:scan247" in call(name, "-h")[1], name
    assert set(COMMANDS) == set(group.list_commands(None))


def test_example_copies_the_files_out_and_replaces_none(empty, call):
    code, out, _ = call("example", "data")
    assert code == 0
    files = ["LICENSE.tike", "scan247-reference.npz", "scan247-settled.npz", "scan247.cxi"]
    assert sorted(path.name for path in (empty / "data").iterdir()) == files
    assert sorted(out.split()) == [f"data/{name}" for name in files]
    assert (empty / "data" / "scan247.cxi").read_bytes() == EXAMPLE_SCAN.read_bytes()
    mine = empty / "data" / "scan247-reference.npz"
    mine.write_text("mine")
    (empty / "data" / "scan247.cxi").unlink()
    code, _, err = call("example", "data")
    assert code == 1
    assert err.startswith("Error: data/scan247-reference.npz: exists already")
    assert mine.read_text() == "mine"
    assert not (empty / "data" / "scan247.cxi").exists()
    assert call("example", "data", "--force")[0] == 0
    assert mine.read_bytes() == EXAMPLE_REFERENCE.read_bytes()


@pytest.mark.parametrize("name", ["taken", "no/folder"])
def test_example_into_no_folder_is_one_line(empty, call, name):
    (empty / "taken").write_text("mine")
    code, _, err = call("example", name)
    assert code == 1
    assert err.startswith(f"Error: {name}: can't be created")
