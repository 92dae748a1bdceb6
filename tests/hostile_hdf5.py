"""Hostile HDF5 files: what they claim, link to and unfold to."""

import os
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from bad_case import DETECTOR, FRAMES, LINK, PROBE, SCAN, TRANSLATION, WITH_PACKAGE, edited
from hostile_case import Hostile, zeros_deflated

SHAPE = (36, 32, 32)
MANY = 50_000
DEEP = 10_000
GB = 1 << 30
UNLIMITED = h5py.h5s.UNLIMITED


def _without_frames(folder: Path) -> None:
    with edited(folder) as file:
        for name in (LINK, FRAMES):
            if name in file:
                del file[name]


def _virtual(file: h5py.File, name: str, *sources: tuple[str, str], shape=SHAPE) -> None:
    """A virtual dataset, each source of which covers it wholly."""
    layout = h5py.VirtualLayout(shape, "u4")
    for source, dataset in sources:
        layout[:] = h5py.VirtualSource(source, dataset, shape)
    file.create_virtual_dataset(name, layout)


def frames_from(source: str, dataset: str = "data") -> Callable[[Path], None]:
    """Frames that are put together from there."""

    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            _virtual(file, LINK, (source, dataset))

    return make


def frames_behind(source: str, dataset: str = "/data") -> Callable[[Path], None]:
    """Frames that an external link leads to."""

    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            file[LINK] = h5py.ExternalLink(source, dataset)

    return make


def frames_stored_in(source: str) -> Callable[[Path], None]:
    """Frames whose bytes are said to lie bare in a file."""

    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            file.create_dataset(LINK, SHAPE, "u4", external=[(source, 0, 4 * 36 * 32 * 32)])

    return make


def with_pipe(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Beside the file lie a pipe, a socket and a folder."""

    def both(folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        with socket.socket(socket.AF_UNIX) as listener:
            before = Path.cwd()
            os.chdir(folder)
            listener.bind("socket")
            os.chdir(before)
        (folder / "folder").mkdir()
        make(folder)

    return both


def frames_without_end(source: str, dataset: str) -> Callable[[Path], None]:
    """Unlimited frames, so that HDF5 asks the source for its extent; numbered where it has `%b`."""

    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            here = h5py.h5s.create_simple(SHAPE, (UNLIMITED, *SHAPE[1:]))
            there = here.copy()
            here.select_hyperslab((0, 0, 0), (UNLIMITED, 1, 1), (1, 1, 1), (1, *SHAPE[1:]))
            if "%b" in source:
                there = h5py.h5s.create_simple((1, *SHAPE[1:]))
            else:
                there.select_hyperslab((0, 0, 0), (UNLIMITED, 1, 1), (1, 1, 1), (1, *SHAPE[1:]))
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_virtual(here, source.encode(), dataset.encode(), there)
            space = h5py.h5s.create_simple(SHAPE, (UNLIMITED, *SHAPE[1:]))
            h5py.h5d.create(file.id, LINK.encode(), h5py.h5t.NATIVE_UINT32, space, creation)

    return make


def _numbered_pipe(folder: Path) -> None:
    frames_without_end("pipe%b", "data")(folder)
    (folder / "pipe").rename(folder / "pipe0")


def _itself_by_link(folder: Path) -> None:
    _without_frames(folder)
    with edited(folder) as file:
        file["alias"] = h5py.SoftLink("/again")
        file["again"] = h5py.SoftLink(LINK)
        _virtual(file, LINK, (".", "alias"))


def _itself_by_other_file(folder: Path) -> None:
    frames_from("other.h5")(folder)
    with h5py.File(folder / "other.h5", "w") as file:
        file["data"] = h5py.ExternalLink("third.h5", "/data")
    with h5py.File(folder / "third.h5", "w") as file:
        _virtual(file, "data", (SCAN, LINK))


def _chain(length: int, width: int) -> Callable[[Path], None]:
    """Virtual datasets of virtual datasets, each reading the next `width` times."""

    def make(folder: Path) -> None:
        with edited(folder) as file:
            frames = file[FRAMES][()]
            file["chain/0"] = frames
            for link in range(length):
                _virtual(file, f"chain/{link + 1}", *[(".", f"chain/{link}")] * width)
        frames_from(".", f"chain/{length}")(folder)

    return make


def _many_groups(at: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            parent = file.require_group(at)
            for number in range(MANY):
                h5py.h5g.create(parent.id, f"g{number}".encode())

    return make


def _many_links(folder: Path) -> None:
    with h5py.File(folder / SCAN, "w") as file:
        file["one"] = np.ones((1, 32, 32), "u4")
        data = file.create_group("entry/data")
        for number in range(MANY):
            data[f"data_{number:06d}"] = h5py.ExternalLink(SCAN, "/one")


def _deep(folder: Path) -> None:
    with h5py.File(folder / SCAN, "w") as file:
        group = file.id
        for _ in range(DEEP):
            group = h5py.h5g.create(group, b"g")
        h5py.Group(group)["frames"] = np.ones(SHAPE, "u4")


def _cycles(folder: Path) -> None:
    with h5py.File(folder / SCAN, "w") as file:
        group = file.create_group("a/b")
        group["up"] = file["a"]
        group["root"] = file["/"]
        group["soft"] = h5py.SoftLink("/a/b/soft")
        group["other"] = h5py.ExternalLink("other.h5", "/back")
    with h5py.File(folder / "other.h5", "w") as file:
        file["back"] = h5py.ExternalLink(SCAN, "/a/b/other")


def _external_cycle(folder: Path) -> None:
    frames_behind("other.h5", "/back")(folder)
    with h5py.File(folder / "other.h5", "w") as file:
        file["back"] = h5py.ExternalLink(SCAN, LINK)


def _chunked(
    folder: Path,
    name: str,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    data: bytes | None,
    *filters: tuple[int, tuple[int, ...]],
    dtype=h5py.h5t.NATIVE_UINT32,
) -> None:
    """A dataset whose first chunk is `data` as it lies in the file."""
    with edited(folder) as file:
        if name in file:
            del file[name]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk(chunk)
        for code, values in filters:
            creation.set_filter(code, h5py.h5z.FLAG_OPTIONAL, values)
        space = h5py.h5s.create_simple(shape)
        dataset = h5py.h5d.create(file.id, name.encode(), dtype, space, creation)
        if data is not None:
            dataset.write_direct_chunk((0,) * len(shape), data)


def _gzip_in_gzip(folder: Path) -> None:
    data = zeros_deflated(16 * GB)
    for _ in range(2):
        data = zlib.compress(data, 9)
    _without_frames(folder)
    deflate = (h5py.h5z.FILTER_DEFLATE, (9,))
    _chunked(folder, LINK, SHAPE, (1, 32, 32), data, deflate, deflate, deflate)


def _gzip_beyond_chunk(folder: Path) -> None:
    _without_frames(folder)
    deflate = (h5py.h5z.FILTER_DEFLATE, (9,))
    _chunked(folder, LINK, SHAPE, (1, 32, 32), zeros_deflated(8 * GB), deflate)


def _gzip_behind_virtual(folder: Path) -> None:
    _gzip_beyond_chunk(folder)
    with edited(folder) as file:
        file.move(LINK, "bomb")
        _virtual(file, LINK, (".", "bomb"))


def _gzip_in_large_chunk(folder: Path) -> None:
    _without_frames(folder)
    deflate = (h5py.h5z.FILTER_DEFLATE, (9,))
    shape = (36, 4096, 4096)
    _chunked(folder, LINK, shape, (1, 4096, 4096), zeros_deflated(8 * GB), deflate)
    with edited(folder) as file:
        del file[f"{DETECTOR}/mask"]


def _bitshuffle_claims(folder: Path) -> None:
    _without_frames(folder)
    data = (16 * GB).to_bytes(8, "big") + (8192).to_bytes(4, "big") + bytes(4000)
    bitshuffle = (int(hdf5plugin.Bitshuffle.filter_id), (0, 2))
    _chunked(folder, LINK, SHAPE, (1, 32, 32), data, bitshuffle)


def _zstd_unfolds(folder: Path) -> None:
    """RLE blocks of 128 kB, three bytes each and one of content (RFC 8878, section 3.1.1)."""
    _without_frames(folder)
    size = 8 * GB
    blocks = size // (128 << 10)
    header = b"\x28\xb5\x2f\xfd" + bytes([0b11100000]) + size.to_bytes(8, "little")

    def block(last: bool) -> bytes:
        return ((128 << 10) << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"

    data = header + block(False) * (blocks - 1) + block(True)
    _chunked(folder, LINK, SHAPE, (1, 32, 32), data, (int(hdf5plugin.Zstd.filter_id), (3,)))


def _many_positions(folder: Path) -> None:
    with edited(folder) as file:
        del file[TRANSLATION]
        file.create_dataset(
            TRANSLATION, (13_000_000, 3), "f8", chunks=(100_000, 3), compression="gzip"
        )
        file[TRANSLATION][:100_000] = 1e-6
        file[TRANSLATION].attrs["units"] = "m"


def _large_probe(folder: Path) -> None:
    with edited(folder) as file:
        del file[PROBE]
        file.create_dataset(
            PROBE, (24, 8192, 8192), "c8", chunks=(1, 1024, 1024), compression="gzip"
        )
        file[PROBE][0, :1024, :1024] = 1


def _large_mask(folder: Path) -> None:
    with edited(folder) as file:
        del file[f"{DETECTOR}/mask"]
        file.create_dataset(f"{DETECTOR}/mask", (8192, 8192), "u8", chunks=(1024, 1024))


def _large_frames(folder: Path) -> None:
    _without_frames(folder)
    with edited(folder) as file:
        file.create_dataset(LINK, (36, 8192, 8192), "f8", chunks=(1, 1024, 1024))


def _large_chunks(folder: Path) -> None:
    _without_frames(folder)
    with edited(folder) as file:
        file.create_dataset(LINK, (36, 32768, 32768), "u2", chunks=(1, 32768, 32768))


def _long_text(folder: Path) -> None:
    with h5py.File(folder / SCAN, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry.create_dataset("definition", (), f"S{2 * GB - 1}")


def _many_texts(folder: Path) -> None:
    with edited(folder) as file:
        texts = np.array(["µm" * 8] * 4000, dtype=object)
        file[f"{DETECTOR}/distance"].attrs.create("units", texts, dtype=h5py.string_dtype())


def _typed(make_type: Callable[[], h5py.h5t.TypeID]) -> Callable[[Path], None]:
    """Frames of a type of number that is none."""

    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            space = h5py.h5s.create_simple(SHAPE)
            h5py.h5d.create(file.id, LINK.encode(), make_type(), space)

    return make


def _odd_float() -> h5py.h5t.TypeID:
    kind = h5py.h5t.IEEE_F64LE.copy()
    kind.set_fields(60, 48, 12, 0, 48)
    kind.set_size(16)
    return kind


def _dims(*shape: int, maximum=None, dtype=h5py.h5t.NATIVE_UINT32) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _without_frames(folder)
        with edited(folder) as file:
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk(tuple(min(n or 1, 16) for n in shape))
            space = h5py.h5s.create_simple(shape, maximum)
            h5py.h5d.create(file.id, LINK.encode(), dtype, space, creation)

    return make


def _called(*flags: str) -> tuple[str, ...]:
    return ("infer", SCAN, *WITH_PACKAGE, *flags)


LINKS = [
    Hostile("a virtual dataset of itself", frames_from(".", LINK)),
    Hostile("an unlimited virtual dataset of itself", frames_without_end(".", LINK)),
    Hostile("a virtual dataset of itself by soft links", _itself_by_link),
    Hostile("a virtual dataset of itself by two files", _itself_by_other_file),
    Hostile("a chain of 1000 virtual datasets", _chain(1000, 1), slow=True),
    Hostile("a chain of virtual datasets that reads 8^12 times", _chain(12, 8)),
    *(
        Hostile(f"{how} a {what}", with_pipe(make(where)))
        for how, make in (
            ("a virtual dataset of", frames_from),
            ("an external link to", frames_behind),
            ("numbers stored in", frames_stored_in),
        )
        for what, where in (
            ("pipe", "pipe"),
            ("device", "/dev/zero"),
            ("socket", "socket"),
            ("folder", "folder"),
        )
    ),
    Hostile("external links that lead in a circle", _external_cycle),
    Hostile("links of every kind that lead in circles", _cycles),
    Hostile("a numbered virtual dataset of a pipe", with_pipe(_numbered_pipe)),
]

CLAIMS = [
    Hostile("16 GB in three gzips", _gzip_in_gzip),
    Hostile("8 GB in a gzip, in a chunk of 4 kB", _gzip_beyond_chunk),
    Hostile("8 GB in a gzip, behind a virtual dataset", _gzip_behind_virtual),
    Hostile("8 GB in a gzip, in a chunk of 64 MB", _gzip_in_large_chunk),
    Hostile("16 GB claimed by bitshuffle", _bitshuffle_claims),
    Hostile("8 GB in zstd", _zstd_unfolds),
    Hostile("13 million positions for 36 frames", _many_positions),
    Hostile("a probe of 24 × 8192²", _large_probe),
    Hostile("a mask of 8192²", _large_mask, slow=True),
    Hostile("36 frames of 8192² in 8 bytes", _large_frames),
    Hostile("chunks of 2 GB", _large_chunks),
    Hostile("a text of 2 GB", _long_text),
    Hostile("4000 texts in an attribute", _many_texts),
    Hostile("2^63 - 1 frames", _dims(2**63 - 1, 32, 32)),
    Hostile("2^62 frames of 2^62 px", _dims(2**31, 2**31, 1)),
    Hostile("frames of no pixels", _dims(36, 0, 32, maximum=(36, UNLIMITED, 32))),
]

OBJECTS = [
    Hostile("50,000 groups", _many_groups("/"), slow=True),
    Hostile("50,000 groups in the entry", _many_groups("entry_1"), slow=True),
    Hostile("50,000 groups in the instrument", _many_groups("entry_1/instrument_1"), slow=True),
    Hostile("50,000 external links to itself", _many_links, slow=True),
    Hostile("groups 10,000 deep", _deep),
    Hostile("groups 10,000 deep, and a dataset named", _deep, _called("--frames", "g/" * DEEP)),
]

TYPES = [
    Hostile(f"frames of {name}", _typed(make))
    for name, make in (
        ("object references", lambda: h5py.h5t.STD_REF_OBJ),
        ("region references", lambda: h5py.h5t.STD_REF_DSETREG),
        ("opaque bytes", lambda: h5py.h5t.create(h5py.h5t.OPAQUE, 16)),
        ("bit fields", lambda: h5py.h5t.NATIVE_B32),
        ("16-byte floats of an odd layout", _odd_float),
        ("variable-length numbers", lambda: h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32)),
        ("arrays of 10⁶", lambda: h5py.h5t.array_create(h5py.h5t.NATIVE_INT32, (10**6,))),
        ("complex integers", lambda: h5py.h5t.py_create(np.dtype([("r", "i4"), ("i", "i4")]))),
        ("texts", lambda: h5py.h5t.py_create(h5py.string_dtype(), logical=True)),
    )
]

CASES = [*LINKS, *CLAIMS, *OBJECTS, *TYPES]
