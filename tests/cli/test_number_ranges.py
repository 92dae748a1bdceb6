"""Every number that a command takes has a type and a range, and both ends of it are survived."""

import shutil
from importlib import import_module

import click
import pytest
from tiny import content

from wnet_edge.cli.main import COMMANDS
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.scan_options import MAX_PAIRED
from wnet_edge.package.packing import write_package

OPTIONS = [
    (name, option)
    for name in COMMANDS
    for option in import_module(f"wnet_edge.cli.{name}").command.params
    if isinstance(option, click.Option)
]
NUMBERS = [
    (name, option) for name, option in OPTIONS if isinstance(option.type, click.IntRange | Number)
]
PAIRS = [(n, o) for n, o in OPTIONS if o.name in ("raster", "beam_centre")]
WILD = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1e300",
    "-7",
    str(2**63),
    "9" * 5000,
    "",
    "²",
    "1,5",
    "0x10",
)


def test_no_number_is_without_a_range():
    for name, option in OPTIONS:
        kind = option.type
        bounded = isinstance(kind, click.IntRange | Number)
        # click's FloatRange lets NaN pass.
        plain = kind in (click.INT, click.FLOAT) or isinstance(kind, click.FloatRange)
        assert bounded or not plain, f"{name} {option.opts[0]}"
        if bounded:
            assert None not in (kind.min, kind.max), f"{name} {option.opts[0]}"
    assert len(NUMBERS) > 30


@pytest.mark.parametrize("value", WILD)
def test_what_is_no_number_within_it_is_a_usage_error(call, value):
    for name, option in NUMBERS:
        code, out, err = call(name, option.opts[0], value)
        assert (code, out) == (2, ""), f"{name} {option.opts[0]}"
        assert f"Invalid value for '{option.opts[0]}'" in err or option.opts[-1] in err
    for name, option in PAIRS if value != "-7" else ():
        for pair in (f"{value},{value}", f"{value}x{value}", f"1,{value}", f"{value}x1"):
            code, _, err = call(name, option.opts[0], pair)
            assert code == 2
            assert option.opts[0] in err


def ends():
    """Every option of the commands that can be run here in no time, with both ends of its range."""
    for name, option in NUMBERS:
        if name in ("infer", "inspect", "evaluate", "verify", "simulate"):
            kind = option.type
            for value in (kind.min, kind.max):
                if (option.name, value) == ("frame_count", kind.max):
                    continue  # takes an hour where the disk has room
                is_open = kind.min_open if value == kind.min else kind.max_open
                inside = value + (kind.max - kind.min) / 1e3 * (1 if value == kind.min else -1)
                yield name, option.opts[0], inside if is_open else value
    for name, option in PAIRS:
        separator = "x" if option.name == "raster" else ","
        for number in (-MAX_PAIRED, 0, MAX_PAIRED):
            yield name, option.opts[0], f"{number}{separator}{number}"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "flag", "value"), list(ends()))
def test_both_ends_are_survived(call, name, flag, value):
    words = {
        "infer": ("scan.cxi", "--package", "known.wnet", "--provider", "cpu"),
        "follow": ("scan.cxi", "--package", "known.wnet", "--provider", "cpu", "--idle-s", "0.1"),
        "stream": ("--input-zmq", "nowhere", "--package", "known.wnet", "--provider", "cpu"),
        "replay": ("scan.cxi", "--file", "grow.cxi", "--rate", "10000"),
        "inspect": ("scan.cxi",),
        "evaluate": ("known.wnet", "--data", "scan.cxi", "--provider", "cpu"),
        "verify": ("known.wnet", "--provider", "cpu"),
        "simulate": ("-o", "out.cxi", "--frames", "1"),
        "train": ("--model", "w3", "--data", "scan.cxi", "-o", "out.safetensors"),
        "export": ("--model", "w3", "--calibration", "scan.cxi"),
        "reference": ("scan.cxi", "-o", "out.h5", "--epochs", "1"),
        "adapt": ("scan.cxi", "-o", "out.wnet"),
    }[name]
    if name == "simulate" and flag in ("--energy-ev", "--distance-m", "--pixel-size-m"):
        words = (*words, "--probe", "scan.cxi")
    if flag == "--raster":
        words = (*words, "--step-m", "1e-7")
    if flag == "--step-m":
        words = (*words, "--raster", "6x6")
    code, _, err = call(name, *words, flag, value)
    assert code in (0, 1)
    lines = [line for line in err.splitlines() if not line.startswith("Warning: ")]
    assert len(lines) == code, err


def test_what_the_disk_can_not_hold_is_not_begun(call, tmp_path, monkeypatch):
    output = tmp_path / "s.cxi"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    code, _, err = call("simulate", "-o", output, "--frames", 1_000_000, "--step-px", 1)
    assert code == 1
    assert err == (
        f"Error: {output}: 1000000 frames take up to 98.3 GB, and the disk has room for 1 GB; "
        "simulate fewer frames\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tune", ("--threads", 512, "--batch-size", 1024)),
        ("tune", ("--threads", 1, "--batch-size", 1, "--max-phase-rms-rad", 3.14)),
        ("bench", ("--threads", 512, "--batch", 1024, "--runs", 1)),
    ],
)
def test_the_largest_runs_are_survived(call, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    write_package(tmp_path / "t.wnet", content())
    code, _, err = call(name, "t.wnet", *words, "--provider", "cpu")
    assert code == 0, err


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("wnet_edge.host.memory.available_bytes", lambda: 10**6)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", ["infer", "bench", "tune"])
def test_a_batch_that_memory_can_not_hold_is_not_begun(here, call, name):
    words = {
        "infer": ("scan.cxi", "--package", "known.wnet", "--batch-size", 1024),
        "bench": ("known.wnet", "--batch", 1024),
        "tune": ("known.wnet", "--batch-size", 1024),
    }[name]
    before = sorted(here.iterdir())
    code, _, err = call(name, *words, "--provider", "cpu")
    assert code == 1
    assert "known.wnet: 1024 frames at once: needs about" in err
    assert "GB of memory, and 0.001 GB are free; give a smaller --batch-size" in err
    assert sorted(here.iterdir()) == before


@pytest.mark.usefixtures("little_memory")
def test_frames_and_objects_that_memory_can_not_hold_are_not_begun(call, here):
    code, _, err = call("simulate", "-o", "s.cxi", "--frames", 400, "--step-px", 20)
    assert code == 1
    assert "400 frames at steps of 20 px: needs about" in err
    assert "fewer or closer frames" in err
    words = ("--model", "w3", "--probe", "scan.cxi", "-o", "c.safetensors", "--fixed")
    code, _, err = call("train", *words)
    assert code == 1
    assert "--fixed 12000 frames: needs about 1.18 GB of memory, and 0.001 GB are free" in err
    assert not (here / "s.cxi").exists()
    assert not (here / "c.safetensors").exists()
