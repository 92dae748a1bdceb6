"""Bad calls of `export` and `evaluate`: weights, scans, references, budgets, keys, outputs."""

from pathlib import Path

import numpy as np
from bad_case import SCAN, Arguments, Case, Spoil, all_of, nothing, write

from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.io.scan_file import open_scan
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.labelled_frames import LabelledFrames


def export(*words: str) -> Arguments:
    """The zoo's smallest network with flags."""
    return ("export", "--model", "w3", *words)


def evaluate(*words: str) -> Arguments:
    """The package that knows the scan, on it, with flags."""
    return ("evaluate", "known.wnet", "--data", SCAN, "--provider", "cpu", *words)


def _weights(share: float) -> Spoil:
    """The first part of the zoo's file."""
    content = zoo_checkpoint("w3").read_bytes()
    return write("w3.safetensors", content[: int(share * len(content))])


def _unplaced(folder: Path) -> None:
    np.savez(folder / "object.npz", object=np.ones((99, 99), np.complex64))


def _nine_frames(folder: Path) -> None:
    scan = open_scan(EXAMPLE_SCAN)
    header = CxiHeader(
        geometry=scan.known_geometry,
        positions_m=scan.positions_m[:9],
        frame_px=scan.frame_px,
        probe=scan.probe,
        binning=scan.binning,
    )
    write_cxi(folder / "nine.cxi", header, [LabelledFrames(np.asarray(scan.frames[:9]))])


_CHECKPOINT = ("export", "--checkpoint", "w3.safetensors")
_EXAMPLE = str(EXAMPLE_SCAN)

CHECKPOINTS = [
    Case(
        "no such weights",
        ("w3.safetensors", "no such file", "name a checkpoint"),
        nothing,
        _CHECKPOINT,
    ),
    Case("empty weights", ("w3.safetensors", "checkpoint"), _weights(0), _CHECKPOINT),
    Case("weights cut short", ("w3.safetensors", "checkpoint"), _weights(0.6), _CHECKPOINT),
    Case("a scan as weights", (SCAN, "checkpoint"), nothing, ("export", "--checkpoint", SCAN)),
]

MATERIAL = [
    Case(
        "no scan to calibrate on",
        ("gone.cxi", "no such file"),
        nothing,
        export("--calibration", "gone.cxi"),
    ),
    Case(
        "calibration on another instrument",
        (SCAN, "window of 128 px", "larger frames"),
        nothing,
        export("--calibration", SCAN),
    ),
    Case(
        "calibration on too few frames",
        ("nine.cxi", "9 frames", "--calibration", "--calibration-source simulated"),
        _nine_frames,
        export("--calibration", "nine.cxi"),
    ),
    Case(
        "measured frames declared as simulated",
        (EXAMPLE_SCAN.name, "--calibration-source"),
        nothing,
        export("--calibration", _EXAMPLE, "--calibration-source", "simulated"),
    ),
    Case(
        "no such reference",
        ("gone.npz", "no such file"),
        nothing,
        export("--reference", "gone.npz"),
    ),
    Case(
        "a reference without frame positions",
        ("object.npz", "window_top_left_px"),
        _unplaced,
        export("--reference", "object.npz"),
    ),
    Case(
        "a reference of another scan",
        (EXAMPLE_REFERENCE.name, SCAN),
        nothing,
        evaluate("--reference", str(EXAMPLE_REFERENCE)),
    ),
    Case(
        "evaluate on no scan",
        ("gone.cxi", "no such file"),
        nothing,
        ("evaluate", "known.wnet", "--data", "gone.cxi"),
    ),
    Case(
        "evaluate of a scan",
        (SCAN, "not an intact package"),
        nothing,
        ("evaluate", f"./{SCAN}", "--data", SCAN),
    ),
    Case(
        "evaluate a precision that the package lacks",
        ("known.wnet", "int8", "fp32"),
        nothing,
        evaluate("--precision", "int8"),
    ),
    Case(
        "a map of frames over the scan",
        (SCAN, "is read by this command"),
        nothing,
        evaluate("--image", SCAN, "--force"),
    ),
    Case(
        "evaluate on a scan of another instrument",
        (_EXAMPLE, "window", "--probe"),
        nothing,
        ("evaluate", "known.wnet", "--data", _EXAMPLE),
    ),
]

ASKED = [
    Case("no such key", ("key.pem", "no such file"), nothing, export("--sign", "key.pem")),
    Case(
        "a file that is not a key",
        ("key.pem", "Ed25519"),
        write("key.pem", "mine"),
        export("--sign", "key.pem"),
    ),
    Case(
        "a file that is not calibration ranges",
        ("ranges.json", "ranges"),
        write("ranges.json", "[]"),
        export("--ranges", "ranges.json"),
    ),
]

WRITTEN = [
    Case(
        "package exists",
        ("w3.wnet", "exists already", "--force"),
        write("w3.wnet", "mine"),
        export(),
    ),
    Case("a package file without .wnet", ("w3.onnx", ".wnet"), nothing, export("-o", "w3.onnx")),
    Case(
        "no folder for the package",
        ("none/w3.wnet", "create it"),
        nothing,
        export("-o", "none/w3.wnet"),
    ),
    Case(
        "report exists",
        ("report.json", "exists already", "--force"),
        write("report.json", "mine"),
        export("--report", "report.json"),
    ),
    Case(
        "no folder for the report",
        ("none/r.json", "create it"),
        nothing,
        export("--report", "none/r.json"),
    ),
    Case(
        "no folder for the ranges",
        ("none/r.json", "create it"),
        nothing,
        export("--ranges", "none/r.json"),
    ),
    Case(
        "Triton's folder is a file",
        ("triton", "folder"),
        write("triton", "mine"),
        export("--target", "triton"),
    ),
    Case(
        "Triton's folder holds that model",
        ("triton", "exists already", "--force"),
        all_of(
            lambda folder: (folder / "triton" / "w3-fp32").mkdir(parents=True),
            write("triton/w3-fp32/a", "mine"),
        ),
        export("--target", "triton"),
    ),
]

CASES = [*CHECKPOINTS, *MATERIAL, *ASKED, *WRITTEN]
