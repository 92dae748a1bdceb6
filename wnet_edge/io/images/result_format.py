"""The formats an image is written in, and the names of their files."""

from enum import Enum
from pathlib import Path


class ResultFormat(str, Enum):
    """What an image is written as."""

    NEXUS = "nexus"  # our own: everything that is known of the image
    PTYCHODUS = "ptychodus"  # a start for Ptychodus and pty-chi
    CXI = "cxi"  # Coherent X-ray Imaging format 1.6
    TIFF = "tiff"  # phase and amplitude, a file each


_SUFFIXES = {
    ResultFormat.NEXUS: (".wnet.h5",),
    ResultFormat.PTYCHODUS: (".ptychodus.h5",),
    ResultFormat.CXI: (".wnet.cxi",),
    ResultFormat.TIFF: (".wnet.phase.tif", ".wnet.amplitude.tif"),
}


def default_paths(image_format: ResultFormat, folder: Path, stem: str) -> tuple[Path, ...]:
    """The files that scan STEM becomes in `folder`: one, or phase and amplitude for TIFF."""
    return tuple(folder / f"{stem}{suffix}" for suffix in _SUFFIXES[image_format])


def paths_from(image_format: ResultFormat, output: Path) -> tuple[Path, ...]:
    """The files that `-o output` means: OUT.tif is OUT.phase.tif and OUT.amplitude.tif."""
    if image_format is not ResultFormat.TIFF:
        return (output,)
    suffix = output.suffix if output.suffix.lower() in (".tif", ".tiff") else ""
    stem = output.name.removesuffix(suffix)
    return tuple(
        output.with_name(f"{stem}.{name}{suffix or '.tif'}") for name in ("phase", "amplitude")
    )


def picture_beside(output: Path) -> Path:
    """The picture that goes with `-o output`: OUT.h5 has OUT.png beside it.

    Only a suffix that names a format goes: scan_0.15 is no file of format 15.
    """
    suffix = output.suffix if output.suffix[1:2].isalpha() else ""
    return output.with_name(f"{output.name.removesuffix(suffix)}.png")
