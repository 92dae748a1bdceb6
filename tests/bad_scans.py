"""Scans that are bad in themselves: the file, its structure, frames, positions, geometry, probe."""

import os
from pathlib import Path

import h5py
import numpy as np
from bad_case import (
    DETECTOR,
    FRAMES,
    INFER,
    LINK,
    PROBE,
    SCAN,
    SOURCE,
    TRANSLATION,
    WITH_PACKAGE,
    Case,
    Spoil,
    all_of,
    as_anybody,
    as_program,
    changed,
    cut,
    edited,
    nothing,
    put,
    without,
    write,
)
from tiny import gaussian_probe

from wnet_edge.io.containers.units import JOULE_PER_EV

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(64)
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
UNKNOWN_FILTER = 40_000
NOT_LOOKED_AT_FIRST = 9
"""A frame that the survey of 32 of 36 passes over."""


def called(scan: str, *flags: str) -> tuple[str, ...]:
    """`infer` of another scan than the usual one."""
    return ("infer", scan, *WITH_PACKAGE, *flags)


def some_frames(fraction: float, value: float) -> Spoil:
    """Frames as floats, this share of them, rounded up, all `value`."""

    def change(frames: np.ndarray) -> np.ndarray:
        frames = frames.astype(np.float32)
        frames[: int(np.ceil(fraction * len(frames)))] = value
        return frames

    return changed(FRAMES, change)


def some_positions(count: int, value: float) -> Spoil:
    """The first `count` positions all `value`."""

    def change(positions: np.ndarray) -> np.ndarray:
        positions[:count] = value
        return positions

    return changed(TRANSLATION, change)


def unwritten(shape: tuple[int, ...], chunk: tuple[int, ...], dtype: str = "u4") -> Spoil:
    """Frames that claim a shape and have no bytes."""

    def spoil(folder: Path) -> None:
        with edited(folder) as file:
            del file[FRAMES]
            file.create_dataset(FRAMES, shape, dtype, chunks=chunk)

    return spoil


def linked(link: h5py.SoftLink | h5py.ExternalLink) -> Spoil:
    """A link in the place of the frames."""

    def spoil(folder: Path) -> None:
        with edited(folder) as file:
            del file[LINK], file[FRAMES]
            file[LINK] = link

    return spoil


def _damage_chunk(folder: Path, frame: int) -> None:
    with edited(folder) as file:
        file[FRAMES].id.write_direct_chunk((frame, 0, 0), b"no deflate stream at all")


def _unknown_filter(folder: Path) -> None:
    with edited(folder) as file:
        frames = file[FRAMES][()]
        del file[FRAMES]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((1, *frames.shape[1:]))
        creation.set_filter(UNKNOWN_FILTER, h5py.h5z.FLAG_OPTIONAL, (1,))
        dataset = h5py.h5d.create(
            file.id,
            FRAMES.encode(),
            h5py.h5t.NATIVE_UINT32,
            h5py.h5s.create_simple(frames.shape),
            creation,
        )
        for index, frame in enumerate(frames):
            dataset.write_direct_chunk((index, 0, 0), frame.tobytes())


def _group_for_frames(folder: Path) -> None:
    with edited(folder) as file:
        del file[FRAMES]
        file.create_group(FRAMES)


def _references(folder: Path) -> None:
    with edited(folder) as file:
        del file[FRAMES]
        frames = file.create_dataset(FRAMES, (36, 32, 32), h5py.ref_dtype)
        frames[0, 0, 0] = file[TRANSLATION].ref


def _virtual_without_source(folder: Path) -> None:
    with edited(folder) as file:
        shape = file[FRAMES].shape
        del file[FRAMES]
        layout = h5py.VirtualLayout(shape, "u4")
        layout[:] = h5py.VirtualSource("frames_0001.h5", "data", shape)
        file.create_virtual_dataset(FRAMES, layout)


def _external_dataset(folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as file:
        file["something"] = 1
    linked(h5py.ExternalLink("other.h5", "/entry/data"))(folder)


def _unknown_layout(folder: Path) -> None:
    with h5py.File(folder / SCAN, "w") as file:
        file["measurement/eiger"] = np.zeros((4, 8, 8), np.uint32)


def _every(times: float, offset: float = 0.0) -> Spoil:
    return changed(TRANSLATION, lambda positions: positions * times + offset)


def _spanning(span_m: float) -> Spoil:
    def change(positions: np.ndarray) -> np.ndarray:
        positions[-1, :2] = positions[0, :2] + span_m
        return positions

    return changed(TRANSLATION, change)


FILES = [
    Case("no such file", ("none.cxi", "no such file", "check"), nothing, called("none.cxi")),
    Case("a folder", (".: is a folder", "name a scan file"), nothing, called(".")),
    Case("empty file", (SCAN, "is empty", "copy it again"), write(SCAN, b"")),
    Case("text", (SCAN, "is not a scan file", "convert"), write(SCAN, "row,column\n1,2\n")),
    Case("JSON", (SCAN, "is not a scan file", "convert"), write(SCAN, '{"frames": []}')),
    Case("a picture", (SCAN, "is not a scan file", "convert"), write(SCAN, PNG)),
    Case(
        "a pipe",
        ("pipe.cxi", "is a device or a pipe", "save it"),
        lambda folder: os.mkfifo(folder / "pipe.cxi"),
        called("pipe.cxi"),
        as_program,
    ),
    Case(
        "a device",
        ("/dev/zero", "is a device or a pipe", "save it"),
        nothing,
        called("/dev/zero"),
        as_program,
    ),
    Case(
        "link to nothing",
        ("link.cxi", "no such file", "check"),
        lambda folder: (folder / "link.cxi").symlink_to("gone.cxi"),
        called("link.cxi"),
    ),
    Case(
        "link to itself",
        ("link.cxi", "check"),
        lambda folder: (folder / "link.cxi").symlink_to("link.cxi"),
        called("link.cxi"),
    ),
    Case(
        "unreadable file",
        (SCAN, "permission denied", "check its permissions"),
        lambda folder: (folder / SCAN).chmod(0),
        INFER,
        as_anybody,
    ),
    Case(
        "in a folder that can't be entered",
        ("closed/scan.cxi", "permission"),
        lambda folder: (folder / "closed").mkdir(mode=0),
        called("closed/scan.cxi"),
        as_anybody,
    ),
    Case(
        "name too long",
        ("x.cxi", "name too long", "check the path"),
        nothing,
        called("x" * 300 + ".cxi", "-o", "a.h5", "--image", "a.png"),
    ),
    Case(
        "a line break in the name",
        ("two lines.cxi", "is not a scan file", "convert"),
        write("two\nlines.cxi", "text"),
        called("two\nlines.cxi"),
    ),
    Case("HDF5's first bytes alone", (SCAN, "HDF5", "copy it again"), write(SCAN, HDF5_MAGIC)),
    Case(
        "garbage after HDF5's first bytes",
        (SCAN, "HDF5", "copy it again"),
        write(SCAN, HDF5_MAGIC + bytes(range(256)) * 16),
    ),
    Case("cut in the header", (SCAN, "cut short", "copy it again"), cut(SCAN, 0.02)),
    Case("cut in the frames", (SCAN, "cut short", "copy it again"), cut(SCAN, 0.6)),
    Case(
        "a damaged frame",
        (SCAN, LINK, "copy it again"),
        lambda folder: _damage_chunk(folder, 0),
    ),
    Case(
        "a damaged frame, read later",
        (SCAN, LINK, "copy it again"),
        lambda folder: _damage_chunk(folder, NOT_LOOKED_AT_FIRST),
    ),
    Case("a package as scan", ("known.wnet", "package"), nothing, called("known.wnet")),
]

STRUCTURE = [
    Case("no frames", (SCAN, "without frames", "--frames"), without(LINK, FRAMES)),
    Case("a link whose frames are gone", (SCAN, LINK, FRAMES, "correct the link"), without(FRAMES)),
    Case("HDF5 of unknown layout", (SCAN, "without frames", "--frames"), _unknown_layout),
    Case("a group for frames", (SCAN, "without frames", "--frames"), _group_for_frames),
    Case("soft link to itself", (SCAN, LINK, "correct the link"), linked(h5py.SoftLink(LINK))),
    Case(
        "external link to no file",
        (SCAN, LINK, "gone.h5:/entry/data", "copy that file"),
        linked(h5py.ExternalLink("gone.h5", "/entry/data")),
    ),
    Case("external link to no dataset", (SCAN, LINK, "other.h5:/entry/data"), _external_dataset),
    Case(
        "virtual dataset without its source",
        (SCAN, LINK, "frames_0001.h5", "copy that file"),
        _virtual_without_source,
    ),
    Case(
        "missing filter plug-in",
        (SCAN, LINK, str(UNKNOWN_FILTER), "hdf5plugin"),
        _unknown_filter,
    ),
    Case(
        "2^60 counts",
        (SCAN, LINK, f"{2**40} frames", "write 1 to"),
        unwritten((2**40, 1024, 1024), (1, 1024, 1024)),
    ),
    Case(
        "frames of 10⁵ × 10⁵ px",
        (SCAN, LINK, "100000 × 100000", "cut them"),
        unwritten((36, 10**5, 10**5), (1, 100, 100)),
    ),
    Case("frames of 1 × 1 px", (SCAN, LINK, "1 × 1 px"), unwritten((36, 1, 1), (36, 1, 1))),
    Case(
        "zero frames",
        (SCAN, LINK, "0 frames", "write 1 to"),
        put(FRAMES, np.ones((0, 32, 32), "u4")),
    ),
    Case(
        "frames never written",
        (SCAN, "36 of 36 frames have no counts", "give frames"),
        unwritten((36, 32, 32), (1, 32, 32)),
    ),
    Case("2-D frames", (SCAN, LINK, "(N, H, W)", "stack"), put(FRAMES, np.ones((32, 32), "u4"))),
    Case(
        "five dimensions",
        (SCAN, LINK, "(N, H, W)", "stack"),
        put(FRAMES, np.ones((1, 6, 6, 32, 32), "u2")),
    ),
    Case("a scalar for frames", (SCAN, LINK, "(N, H, W)", "stack"), put(FRAMES, 7)),
    Case("empty dataspace", (SCAN, "without frames", "--frames"), put(FRAMES, h5py.Empty("u4"))),
    Case(
        "complex frames",
        (SCAN, LINK, "complex64, not counts", "write integers or floats"),
        changed(FRAMES, lambda frames: frames.astype(np.complex64)),
    ),
    Case(
        "strings for frames",
        (SCAN, LINK, "not counts", "write integers or floats"),
        put(FRAMES, np.full((36, 4, 4), b"12", "S2")),
    ),
    Case("object references", (SCAN, LINK, "not counts", "write integers or floats"), _references),
    Case(
        "compound frames",
        (SCAN, LINK, "not counts", "write integers or floats"),
        put(FRAMES, np.zeros((36, 32, 32), [("counts", "u4"), ("time", "f8")])),
    ),
    Case(
        "bit fields for frames",
        (SCAN, LINK, "not counts", "write integers or floats"),
        put(FRAMES, np.zeros((36, 32, 32), "V4")),
    ),
]

COUNTS = [
    Case("all counts NaN", (SCAN, "36 of 36 frames", "give frames"), some_frames(1, np.nan)),
    Case("all counts infinite", (SCAN, "36 of 36 frames", "give frames"), some_frames(1, np.inf)),
    Case("all counts below zero", (SCAN, "36 of 36 frames", "give frames"), some_frames(1, -5)),
    Case("all counts zero", (SCAN, "36 of 36 frames", "give frames"), some_frames(1, 0)),
    Case("11 % of frames NaN", (SCAN, "4 of 36 frames", "one in ten"), some_frames(0.11, np.nan)),
    Case("11 % of frames dark", (SCAN, "4 of 36 frames", "one in ten"), some_frames(0.11, 0)),
    Case(
        "all pixels marked as gaps",
        (SCAN, "36 of 36 frames", "give frames"),
        changed(FRAMES, lambda frames: np.full_like(frames, 2**32 - 1)),
    ),
    Case(
        "wrong endianness, integers",
        (SCAN, LINK, "wrong order", "byte order"),
        changed(FRAMES, lambda frames: frames.byteswap()),
    ),
    Case(
        "wrong endianness, floats",
        (SCAN, LINK, "wrong order", "byte order"),
        changed(FRAMES, lambda frames: frames.astype(np.float32).byteswap()),
    ),
    Case(
        "counts out of range",
        (SCAN, "36 of 36 frames", "give frames"),
        changed(FRAMES, lambda frames: np.full(frames.shape, 1e300)),
    ),
    Case(
        "one frame",
        (SCAN, "one frame", "give frames that overlap"),
        all_of(
            changed(FRAMES, lambda frames: frames[:1]),
            changed(TRANSLATION, lambda positions: positions[:1]),
        ),
    ),
    Case(
        "frames smaller than the window",
        (SCAN, LINK, "16 × 16 px", "window of 32 px", "larger frames"),
        all_of(
            changed(FRAMES, lambda frames: frames[:, :16, :16]),
            changed(f"{DETECTOR}/mask", lambda mask: mask[:16, :16]),
        ),
    ),
    Case(
        "frames of another size, no geometry",
        (SCAN, "24 × 24 px", "--energy-ev"),
        all_of(
            changed(FRAMES, lambda frames: frames[:, :24, :24]),
            changed(f"{DETECTOR}/mask", lambda mask: mask[:24, :24]),
            without(f"{DETECTOR}/distance"),
        ),
    ),
]

POSITIONS = [
    Case(
        "no positions",
        (SCAN, "without positions", "--positions"),
        without("/entry_1/data_1/translation", TRANSLATION),
    ),
    Case(
        "fewer positions than frames",
        (SCAN, TRANSLATION, "35 positions for 36 frames", "--positions"),
        changed(TRANSLATION, lambda positions: positions[:-1]),
    ),
    Case(
        "more positions than frames",
        (SCAN, TRANSLATION, "72 positions for 36 frames", "--positions"),
        changed(TRANSLATION, lambda positions: np.concatenate([positions, positions])),
    ),
    Case(
        "positions (N, 1)",
        (SCAN, TRANSLATION, "(36, 1)", "write x, y, z"),
        changed(TRANSLATION, lambda positions: positions[:, :1]),
    ),
    Case(
        "positions (N,)",
        (SCAN, TRANSLATION, "(36,)", "write x, y, z"),
        changed(TRANSLATION, lambda positions: positions[:, 0]),
    ),
    Case(
        "strings for positions",
        (SCAN, TRANSLATION, "not numbers", "write x, y, z"),
        put(TRANSLATION, np.full((36, 3), b"1.0", "S3")),
    ),
    Case(
        "complex positions",
        (SCAN, TRANSLATION, "not numbers", "write x, y, z"),
        changed(TRANSLATION, lambda positions: positions * 1j),
    ),
    Case(
        "11 % of positions NaN",
        (SCAN, TRANSLATION, "4 of 36 frames", "remove frames"),
        some_positions(4, np.nan),
    ),
    Case(
        "all positions infinite",
        (SCAN, TRANSLATION, "36 of 36 frames", "remove frames"),
        some_positions(36, np.inf),
    ),
    Case(
        "duplicate positions",
        (SCAN, "36 positions are the same", "--positions"),
        some_positions(36, 1e-6),
    ),
    Case(
        "positions over a kilometre",
        (SCAN, TRANSLATION, "1e+03 m", "--positions-unit"),
        _spanning(1000.0),
    ),
    Case(
        "positions 0.9 m apart",
        (SCAN, "positions span", "Mpx", "check the unit"),
        _spanning(0.9),
    ),
    Case("positions out of range", (SCAN, TRANSLATION, "write metres"), _spanning(1.7e308)),
    Case(
        "positions 10⁹ m away",
        (SCAN, "positions begin at", "too far out", "check their unit"),
        _every(1.0, 1e9),
    ),
    Case(
        "positions that don't overlap",
        (SCAN, "neighbouring positions", "apart", "far-field"),
        all_of(_every(20.0), without(PROBE)),
    ),
    Case(
        "positions in furlongs",
        (SCAN, TRANSLATION, "'furlong'", "attribute units"),
        lambda folder: _unit(folder, TRANSLATION, "furlong"),
    ),
    Case(
        "wrong endianness, positions",
        (SCAN, TRANSLATION, "write metres", "--positions"),
        changed(TRANSLATION, lambda positions: positions.byteswap()),
    ),
]


def _unit(folder: Path, dataset: str, unit: str) -> None:
    with edited(folder) as file:
        file[dataset].attrs["units"] = unit


def _number(name: str, dataset: str, value, *words: str, units: str | None = None) -> Case:
    """A case of one number, of which file and dataset are named in any case."""
    return Case(name, (SCAN, dataset, *words), put(dataset, value, units))


_ENERGY, _DISTANCE = f"{SOURCE}/energy", f"{DETECTOR}/distance"
_PIXEL = f"{DETECTOR}/x_pixel_size"

GEOMETRY = [
    _number("energy below zero", _ENERGY, -1e4 * JOULE_PER_EV, "--energy-ev"),
    _number("energy NaN", _ENERGY, np.nan, "write the number"),
    _number("energy in eV, labelled J", _ENERGY, 1e4, "--energy-ev", units="J"),
    _number("energy in parsec", _ENERGY, 1e4, "'parsec'", "attribute units", units="parsec"),
    _number("energy as text", _ENERGY, "10 keV", "is not one number", "write a scalar"),
    _number("two energies", _ENERGY, [1.0, 2.0], "is not one number", "write a scalar"),
    _number("distance 10⁹ m", _DISTANCE, 1e9, "--distance-m"),
    _number("distance below zero", _DISTANCE, -0.9, "--distance-m"),
    Case(
        "pixels of 55 m",
        (SCAN, _PIXEL, "55 m", "--pixel-size-m"),
        all_of(*(put(f"{DETECTOR}/{axis}_pixel_size", 55.0) for axis in "xy")),
    ),
    _number("pixels that are not square", _PIXEL, 172e-6, "square"),
    _number("binning 0", f"{DETECTOR}/binning", 0, "1 … 64", "correct"),
    _number("binning 2.5", f"{DETECTOR}/binning", 2.5, "1 … 64", "correct"),
    Case(
        "another object pixel",
        (SCAN, "object pixel", "nm", "correct energy"),
        all_of(put(_ENERGY, 8_400 * JOULE_PER_EV, "J"), without(PROBE)),
    ),
]

MASK_AND_PROBE = [
    Case(
        "mask of another shape",
        (SCAN, f"{DETECTOR}/mask", "(16, 32)", "--mask none"),
        put(f"{DETECTOR}/mask", np.zeros((16, 32), "u4")),
    ),
    Case(
        "mask of every pixel",
        (SCAN, f"{DETECTOR}/mask", "every pixel", "--mask none"),
        put(f"{DETECTOR}/mask", np.full((32, 32), 8, "u4")),
    ),
    Case(
        "mask inverted",
        (SCAN, f"{DETECTOR}/mask marks 96.9 %", "inverted?", "--mask-good", "--mask none"),
        put(f"{DETECTOR}/mask", (np.arange(32) > 0) * np.ones((32, 1), "u4")),
    ),
    Case(
        "mask of text",
        (SCAN, f"{DETECTOR}/mask", "not numbers", "--mask none"),
        put(f"{DETECTOR}/mask", np.full((32, 32), b"ok")),
    ),
    Case(
        "one mask per frame",
        (SCAN, f"{DETECTOR}/mask", "not numbers (H, W)", "--mask none"),
        put(f"{DETECTOR}/mask", np.zeros((36, 32, 32), "u4")),
    ),
    Case(
        "probe of another window",
        (SCAN, PROBE, "(1, 64, 64)", "--probe none"),
        put(PROBE, gaussian_probe(64)),
    ),
    Case(
        "probe NaN",
        (SCAN, PROBE, "NaN", "--probe none"),
        put(PROBE, np.full((2, 32, 32), np.nan, np.complex64)),
    ),
    Case(
        "dark probe", (SCAN, PROBE, "dark", "--probe none"), put(PROBE, np.zeros((1, 32, 32), "c8"))
    ),
    Case(
        "real probe",
        (SCAN, PROBE, "not complex", "--probe"),
        put(PROBE, np.abs(gaussian_probe(32))),
    ),
    Case(
        "probe that is not square",
        (SCAN, PROBE, "(1, 32, 16)", "--probe"),
        put(PROBE, gaussian_probe(32)[..., :16]),
    ),
    Case(
        "probe of a near field",
        (SCAN, "near-field", "far-field"),
        lambda folder: _probe_pixel(folder, 1e-6),
    ),
]


def _probe_pixel(folder: Path, size_m: float) -> None:
    with edited(folder) as file:
        file[PROBE].attrs["pixel_size_m"] = size_m


CASES = [*FILES, *STRUCTURE, *COUNTS, *POSITIONS, *GEOMETRY, *MASK_AND_PROBE]
