"""What a command reads is no output of it, however it is spelled and whatever links lead to it."""

import os
import shutil

import h5py
import numpy as np
import pytest
from bad_case import FRAMES
from signing import private_key, write_keys
from tiny import several_precisions

from wnet_edge.errors import PackageError, ScanError
from wnet_edge.host.inputs import check_no_input, input_file, note_input, one_command
from wnet_edge.host.linked_files import TooManyObjectsError, linked_files
from wnet_edge.host.outputs import check_output
from wnet_edge.package.manifest import Precision
from wnet_edge.package.packing import write_package

KNOWN = ("--package", "known.wnet", "--provider", "cpu")
RAW = "raw.h5"


def write_raw(frames):
    with h5py.File(RAW, "w") as file:
        file["frames"] = frames


def external_link(file, frames):
    write_raw(frames)
    file[FRAMES] = h5py.ExternalLink(RAW, "/frames")


def by_way_of_another(file, frames):
    write_raw(frames)
    with h5py.File("between.h5", "w") as between:
        between["frames"] = h5py.ExternalLink(RAW, "/frames")
    file[FRAMES] = h5py.ExternalLink("between.h5", "/frames")


def virtual(file, frames):
    write_raw(frames)
    layout = h5py.VirtualLayout(frames.shape, frames.dtype)
    layout[:] = h5py.VirtualSource(RAW, "frames", shape=frames.shape)
    file.create_virtual_dataset(FRAMES, layout)


def external_storage(file, frames):
    stored = [(RAW, 0, frames.nbytes)]
    file.create_dataset(FRAMES, frames.shape, frames.dtype, external=stored)
    file[FRAMES][...] = frames


def unused_link(file, frames):
    """Frames of another detector, which nobody asks for: raw data all the same."""
    external_link(file, frames)
    file["other"] = file.get(FRAMES, getlink=True)
    del file[FRAMES]
    file[FRAMES] = frames


LINKS = [external_link, by_way_of_another, virtual, external_storage, unused_link]


@pytest.fixture
def linked(here, known):
    """Makes the scan's frames lie in `raw.h5`; gives that file, and other names of it."""

    def link(how):
        with h5py.File(here / "scan.cxi", "r+") as file:
            del file[FRAMES]
            how(file, known.frames)
        os.link(RAW, "hard.h5")
        (here / "soft.h5").symlink_to(RAW)
        return RAW, "hard.h5", "soft.h5", here / "." / RAW

    return link


def unchanged(here, call, *arguments):
    """The one line of a call that is refused and leaves everything as it was."""
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code, _, err = call(*arguments)
    assert code == 1, err
    assert "Traceback" not in err
    (line,) = err.splitlines()
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    return line


@pytest.mark.parametrize("how", LINKS)
def test_raw_data_that_a_scan_links_to_is_no_output(here, call, linked, how):
    for name in linked(how):
        for output in ("-o", "--image"):
            line = unchanged(here, call, "infer", "scan.cxi", *KNOWN, "--force", output, name)
            assert line == (
                f"Error: {name}: holds data of scan.cxi, which is read and links to it; name "
                "another output"
            )
    assert "holds data" in unchanged(here, call, "infer", "scan.cxi", *KNOWN, "-o", RAW)
    assert "holds data" in unchanged(
        here, call, "inspect", "scan.cxi", "--image", "hard.h5", "--force"
    )
    assert "holds data" in unchanged(
        here, call, "simulate", "--probe", "scan.cxi", "-o", RAW, "--force"
    )


def test_of_several_scans_each_one_s_raw_data_is_kept_before_the_first_is_worked_on(
    here, call, linked, known
):
    linked(external_link)
    (here / "out").mkdir()
    known.write(here / "a.cxi")
    shutil.copy(here / "a.cxi", here / "a.wnet.h5")
    with h5py.File(here / "scan.cxi", "r+") as file:
        file["also"] = h5py.ExternalLink("a.wnet.h5", "/")
    line = unchanged(here, call, "infer", "a.cxi", "scan.cxi", *KNOWN, "-o", ".", "--force")
    assert "a.wnet.h5: holds data of scan.cxi" in line


def test_every_file_that_a_command_reads_is_no_output(here, call, known):
    _, trusted = write_keys(here, "key", 1)
    write_package(here / "known.wnet", known.content(), force=True, key=private_key(1))
    (here / "26id.toml").write_text("energy-ev = 10000\n")
    np.save(here / "mask.npy", np.zeros((known.full_px,) * 2, np.uint8))
    np.save(here / "probe.npy", known.probe)
    np.savetxt(here / "positions.csv", known.corners, "%g", ",", header="row,column", comments="")
    px = ("--positions-unit", "px")
    flags = {
        "26id.toml": ("--profile", "26id.toml"),
        "mask.npy": ("--mask", "mask.npy"),
        "probe.npy": ("--probe", "probe.npy"),
        "positions.csv": ("--positions", "positions.csv", *px),
        "scan.cxi": ("--positions", f"scan.cxi:{FRAMES}"),
        "known.wnet": (),
        trusted: ("--trust", trusted),
    }
    for name, flag in flags.items():
        line = unchanged(here, call, "infer", "scan.cxi", *KNOWN, *flag, "-o", name, "--force")
        assert line.startswith(f"Error: {name}: is "), line
        assert line.endswith("; name another output")
    for name in ("scan.cxi", "26id.toml", "mask.npy", "positions.csv"):
        flag = () if name == "scan.cxi" else flags[name]
        line = unchanged(here, call, "inspect", "scan.cxi", *flag, "--image", name, "--force")
        assert line.startswith(f"Error: {name}: is "), line
    bench = ("bench", "known.wnet", "-o", "known.wnet", "--force")
    assert "known.wnet: is the package" in unchanged(here, call, *bench)
    simulate = ("simulate", "--probe", "scan.cxi", "-o", "scan.cxi", "--force")
    assert "scan.cxi: is read" in unchanged(here, call, *simulate)


def test_what_a_workshop_command_reads_is_no_output(here, call):
    write_package(here / "two.wnet", several_precisions(Precision.FP32, Precision.FP16))
    private, _ = write_keys(here, "key", 1)
    scan = ("--calibration", "scan.cxi")
    commands = (
        ("train", "--model", "w3", "--probe", "scan.cxi", "-o", "scan.cxi"),
        ("train", "--model", "w3", "--data", "scan.cxi", "-o", "scan.cxi"),
        ("export", "--package", "two.wnet", "--target", "ort", "-o", "two.wnet"),
        ("export", "--model", "w3", *scan, "-o", "x.wnet", "--report", "scan.cxi"),
        ("export", "--model", "w3", *scan, "-o", "x.wnet", "--ranges", "scan.cxi"),
        ("export", "--model", "w3", "--sign", private, "-o", "x.wnet", "--report", private),
    )
    for words in commands:
        line = unchanged(here, call, *words, "--force")
        assert "is read by this command" in line or "is the package" in line
    (here / "triton" / "two-fp16").mkdir(parents=True)
    (here / "two.wnet").rename(here / "triton" / "two-fp16" / "two.wnet")
    package = here / "triton" / "two-fp16" / "two.wnet"
    line = unchanged(
        here, call, "export", "--package", package, "--target", "triton", "-o", "triton", "--force"
    )
    assert f"triton/two-fp16: holds {package}, which is the package" in line


def test_outputs_are_apart(here, call):
    words = ("export", "--model", "w3", "-o", "x.wnet")
    assert "would be written twice" in unchanged(here, call, *words, "--report", "./x.wnet")
    assert "would be written twice" in unchanged(
        here, call, *words, "--report", "a", "--ranges", "a"
    )


def test_whichever_comes_second_is_refused_and_only_within_a_command(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"a")
    with one_command():
        note_input(file, ScanError)
        with pytest.raises(PackageError, match="is read by this command"):
            check_output(file, PackageError, force=True)
    with one_command(), one_command():
        check_no_input(file, PackageError)
        with pytest.raises(ScanError, match="is read by this command"):
            note_input(file, ScanError)
    note_input(file, ScanError)
    check_output(file, PackageError, force=True)  # a library's caller knows what it does


def test_an_output_that_is_not_there_yet_costs_no_look_at_the_links(tmp_path, monkeypatch):
    def looked(_):
        raise AssertionError

    monkeypatch.setattr("wnet_edge.host.inputs.linked_files", looked)
    (tmp_path / "scan").write_bytes(b"a")
    with one_command():
        note_input(tmp_path / "scan", ScanError)
        check_output(tmp_path / "new", ScanError, force=True)


def test_a_file_of_too_many_objects_is_not_looked_through_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("wnet_edge.host.linked_files.MAX_OBJECTS", 20)
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for number in range(30):
            file.create_group(f"{number}")
    with pytest.raises(TooManyObjectsError):
        linked_files(tmp_path / "many.h5")
    (tmp_path / "out").write_bytes(b"")
    with one_command():
        note_input(tmp_path / "many.h5", ScanError)
        with pytest.raises(
            ScanError, match=r"out: is there already, and may belong to .*not there"
        ):
            check_output(tmp_path / "out", ScanError, force=True)


def test_links_are_followed_safely(tmp_path, monkeypatch):
    """Pipes hang nobody, circles end, damaged and foreign files are left to their readers."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    names = ("scan.h5", "pipe", "text.h5", "none.h5", "x" * 400, "back.h5")
    with h5py.File("scan.h5", "w") as file:
        for number, name in enumerate(names):
            file[f"{number}"] = h5py.ExternalLink(name, "/")
        file["loop"] = h5py.SoftLink("/loop")
        file["a/b"] = file["/"]
    with h5py.File("back.h5", "w") as file:
        file["there"] = h5py.ExternalLink("scan.h5", "/")
    (tmp_path / "text.h5").write_text("no HDF5")
    found = {path.name for path in linked_files(tmp_path / "scan.h5")}
    assert found == {"scan.h5", "text.h5", "back.h5"}
    assert linked_files(tmp_path / "text.h5") == ()


def test_sources_by_a_pattern_are_found(tmp_path):
    for number in (0, 7):
        (tmp_path / f"part_{number}.h5").write_bytes(b"")
    (tmp_path / "part_x.h5").write_bytes(b"")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        blocks = h5py.h5s.create_simple((4, 3), (h5py.h5s.UNLIMITED, 3))
        blocks.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (2, 3), (2, 3))
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        part = h5py.h5s.create_simple((2, 3))
        creation.set_virtual(blocks, b"part_%b.h5", b"frames", part)
        kind = h5py.h5t.NATIVE_INT32
        h5py.h5d.create(file.id, b"frames", kind, blocks, creation)
    found = {path.name for path in linked_files(tmp_path / "scan.h5")}
    assert found == {"part_0.h5", "part_7.h5"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is a device or a pipe"),
    ],
)
def test_only_a_file_is_an_input(tmp_path, make, words):
    make(tmp_path / "a")
    with pytest.raises(ScanError, match=f"a: {words}.*; name a scan$"):
        input_file(tmp_path / "a", ScanError, "name a scan")
