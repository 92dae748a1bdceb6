"""What reaches a terminal: one line a message, which it does not obey, in any encoding."""

import os
import shutil
import subprocess
from pathlib import Path

import h5py
import pytest
from bad_case import FRAMES, PROGRAM, in_process
from hostile_graphs import forged
from onnx import helper
from tiny import onnx_bytes

from wnet_edge.cli.main import COMMANDS
from wnet_edge.cli.terminal import prepared_streams, print_line
from wnet_edge.one_line import one_line
from wnet_edge.pictures.drawing import text_line

RED = "\x1b[31m"
HOSTILE = f"a{RED}\x07\nR-factor: 0.01 (trusted)\r\x9b2Jb\u202ec"
SHOWN = "a\\x1b[31m\\x07 R-factor: 0.01 (trusted) \\x9b2Jb\\u202ec"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("  fp32:\tone  two", "  fp32: one  two"),
        ("first\n   second\n", "first second"),
        ("试料 é × …", "试料 é × …"),
        ("\u2028\x85\x0b\x0c", ""),
        ("a\u3000b\xa0c", "a b c"),
        ("\udcff", "\\udcff"),
    ],
)
def test_one_line(text, shown):
    assert one_line(text) == shown


def plain(text):
    return text.isprintable() and text.isascii()


def test_names_in_files_do_not_reach_the_terminal_as_they_are(here):
    (here / "scan.cxi").rename(here / f"{HOSTILE.replace('/', '')}.cxi")
    name = next(path.name for path in here.glob("*.cxi"))
    package = ("--package", "known.wnet", "--provider", "cpu")
    done = in_process(here, ("infer", name, *package))
    assert done.code == 0, done.err
    assert f"picture: {SHOWN}.wnet.png" in done.out
    assert all(map(plain, [*done.out.splitlines(), *done.err.splitlines()]))
    with h5py.File(here / name, "r+") as file:
        file[HOSTILE] = file[FRAMES]
    for words in (
        ("inspect", name, "--frames", HOSTILE),
        ("inspect", f"gone{HOSTILE}"),
        ("infer", name, "--frames", f"gone{HOSTILE}", *package),
        ("infer", name, f"--{HOSTILE}"),
        ("compare", name, name),
    ):
        done = in_process(here, words)
        assert all(map(plain, [*done.out.splitlines(), *done.err.splitlines()])), done
        assert not any(line.startswith("R-factor") for line in done.out.splitlines())
    shown = in_process(here, ("inspect", name, "--frames", HOSTILE)).out
    assert f"where: /{SHOWN}\n" in shown


def test_operators_that_nobody_knows_are_one_line_and_onnx_runtime_says_nothing(here, call, capfd):
    nodes = [
        helper.make_node(f"Evil{RED}\nop", ["counts"], ["amplitude"], name=HOSTILE),
        helper.make_node("Relu", ["counts"], ["phase"]),
    ]
    (here / "evil.wnet").write_bytes(forged(graph=onnx_bytes(nodes, 8)))
    for words in (("verify", "evil.wnet"), ("infer", "scan.cxi", "--package", "evil.wnet")):
        code, out, err = call(*words, "--provider", "cpu")
        assert code == 1
        assert err.count("\n") == 1
        assert err.startswith("Error: ")
        assert all(map(plain, [*out.splitlines(), *err.splitlines()]))
    assert capfd.readouterr() == ("", "")


def test_text_in_a_picture_is_one_plain_line():
    from PIL import Image, ImageDraw

    def drawn(text):
        picture = Image.new("RGB", (600, 40))
        text_line(ImageDraw.Draw(picture), (2, 2), text, 15, (255, 255, 255), 590)
        return picture.tobytes()

    assert drawn(HOSTILE) == drawn(SHOWN)


def to(how, *words, **kwargs):
    """Exit code and stderr of the program with its stdout sent somewhere by the shell."""
    script = f'"$@" {how}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script, "bash", PROGRAM, *words],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **kwargs,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [("-h",), ("--version",), ("infer", "-h")], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(words, unbuffered):
    code, err = to(">/dev/full", *words, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    assert code == 1
    assert err == (
        "Error: standard output: can't be written (no space left on device); free disk space, or "
        "send it elsewhere\n"
    )


def test_a_closed_stdout_is_one_line_and_the_work_is_done(here):
    words = ("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu")
    code, err = to(">&-", *words, cwd=here)
    assert code == 1
    warning, line = err.splitlines()
    assert warning.startswith("Warning: ")
    assert line.startswith("Error: standard output: can't be written (bad file descriptor)")
    assert (here / "scan.wnet.h5").exists()
    assert (here / "scan.wnet.png").exists()


def test_a_reader_that_has_had_enough_is_told_nothing(here):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, "inspect", "scan.cxi"],
        cwd=here,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_stderr_that_nobody_can_read_stops_no_work(here):
    words = ("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu")
    code, _ = to(">/dev/null 2>/dev/full", *words, cwd=here)
    assert code == 0
    assert (here / "scan.wnet.png").exists()


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "ascii"])
def test_every_help_can_be_shown_in_any_encoding(encoding, tmp_path, monkeypatch):
    said = tmp_path / "said"
    for command in COMMANDS:
        with said.open("w", encoding=encoding) as stdout, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", stdout)
            patched.setattr("sys.argv", ["wnet-edge", command, "-h"])
            from wnet_edge.cli.main import main

            with pytest.raises(SystemExit) as done:
                main()
        assert not done.value.code
        assert b"Usage: wnet-edge" in said.read_bytes()


def test_what_an_encoding_lacks_is_written_out(tmp_path, monkeypatch):
    for encoding, shown in (("latin-1", "\\u8a66 ... ×"), ("cp437", "\\u8a66 ... x")):
        with (tmp_path / encoding).open("w", encoding=encoding) as stdout:
            monkeypatch.setattr("sys.stdout", stdout)
            with prepared_streams():
                print_line("試 … ×")
        assert (tmp_path / encoding).read_bytes() == f"{shown}\n".encode(encoding)


def test_a_name_of_other_letters_as_a_program(here):
    shutil.move(here / "scan.cxi", here / "試料.cxi")
    done = subprocess.run(
        [PROGRAM, "inspect", "試料.cxi"],
        cwd=here,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"path: \\u8a66\\u6599.cxi" in done.stdout
    assert done.stderr == b""
