"""Output formats of an image, and the names of their files."""

from enum import Enum
from pathlib import Path


class ResultFormat(str, Enum):
    """Output formats of an image."""

    NEXUS = "nexus"  # result file with all data and provenance
    PTYCHODUS = "ptychodus"  # start for Ptychodus and pty-chi
    CXI = "cxi"  # Coherent X-ray Imaging format 1.6
    TIFF = "tiff"  # phase and amplitude, one file each


_SUFFIXES = {
    ResultFormat.NEXUS: (".wnet.h5",),
    ResultFormat.PTYCHODUS: (".ptychodus.h5",),
    ResultFormat.CXI: (".wnet.cxi",),
    ResultFormat.TIFF: (".wnet.phase.tif", ".wnet.amplitude.tif"),
}


def default_paths(image_format: ResultFormat, folder: Path, stem: str) -> tuple[Path, ...]:
    """Default output files of scan STEM in `folder`: one, or phase and amplitude for TIFF."""
    return tuple(folder / f"{stem}{suffix}" for suffix in _SUFFIXES[image_format])


def paths_from(image_format: ResultFormat, output: Path) -> tuple[Path, ...]:
    """Output files for `-o output`: OUT.tif gives OUT.phase.tif and OUT.amplitude.tif."""
    if image_format is not ResultFormat.TIFF:
        return (output,)
    suffix = output.suffix if output.suffix.lower() in (".tif", ".tiff") else ""
    stem = output.name.removesuffix(suffix)
    return tuple(
        output.with_name(f"{stem}.{name}{suffix or '.tif'}") for name in ("phase", "amplitude")
    )


def picture_beside(output: Path) -> Path:
    """Path of the picture for `-o output`: OUT.png beside OUT.h5.

    Only the suffix of a known format is replaced: that of scan_0.15 is none.
    """
    suffix = output.suffix if output.suffix[1:2].isalpha() else ""
    return output.with_name(f"{output.name.removesuffix(suffix)}.png")
