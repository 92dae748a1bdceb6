"""Installed wheels that provide the `onnxruntime` module, and conflicts between them.

onnxruntime, onnxruntime-gpu, onnxruntime-openvino and vendors' wheels install into the same folder
without pip noticing: the last one overwrites files of the others, and uninstalling one removes
files of another. Nothing here imports onnxruntime, which may fail.
"""

import csv
import platform
import re
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution, distributions
from pathlib import Path

MODULE = "onnxruntime"

_CODE_SUFFIXES = frozenset({".py", ".so", ".pyd", ".dll", ".dylib"})
"""Suffixes of code files; other files may have been changed by packagers."""


_AND_NO_OTHER = "; from then on update wnet-edge with --no-deps, or it brings the other one back"


@dataclass(frozen=True)
class Wheel:
    """An installed distribution that has files of the `onnxruntime` module.

    Attributes:
        name: normalised name.
        version: version from its metadata.
        folder: site-packages folder that it is installed in.
        lost_files: number of its code files that are missing or of another size by now; None if
            the wheel has no record of its files.
    """

    name: str
    version: str
    folder: Path
    lost_files: int | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def installed_wheels() -> tuple[Wheel, ...]:
    """All wheels on `sys.path`, in order: Python imports the first."""
    wheels: dict[tuple[Path, str], Wheel] = {}
    for distribution in distributions():
        if _provides_module(distribution):
            wheel = _wheel(distribution)
            wheels.setdefault((wheel.folder, wheel.name), wheel)
    return tuple(wheels.values())


def overwriting(wheels: tuple[Wheel, ...]) -> tuple[Wheel, ...]:
    """Wheels that share a folder with another, and so overwrite each other's files."""
    sharing = Counter(wheel.folder for wheel in wheels)
    return tuple(wheel for wheel in wheels if sharing[wheel.folder] > 1)


def wheels_fault(wheels: tuple[Wheel, ...]) -> str | None:
    """What is wrong with the wheels, and the remedy; None if there is a single intact one."""
    if not wheels:
        return f"no {MODULE} is installed: {_install(())}"
    several = overwriting(wheels)
    if several:
        names = " ".join(wheel.name for wheel in several)
        return (
            f"{' and '.join(map(str, several))} overwrite each other's files"
            f"{_whose_files(several)}: pip uninstall -y {names}, then {_install(several)}"
        )
    first, *hidden = wheels
    if hidden:
        return (
            f"{first} in {first.folder} hides {hidden[0]} in {hidden[0].folder}: keep one, "
            f"pip uninstall {first.name} for the other"
        )
    if first.lost_files:
        return (
            f"{first.lost_files} files of {first} are missing or another's: pip uninstall -y "
            f"{first.name}, then {_install(wheels)}"
        )
    return None


def import_fault() -> str | None:
    """Why `onnxruntime` can't be imported, and the remedy; None if it can be."""
    try:
        import_module(MODULE).InferenceSession  # noqa: B018 - absent in leftovers of a wheel
    except (ImportError, AttributeError, OSError) as error:
        name = getattr(error, "name", None) or MODULE
        if isinstance(error, ModuleNotFoundError) and name.partition(".")[0] != MODULE:
            return None  # a dependency is missing, which the import error itself names
        wheels = installed_wheels()
        told = " ".join(str(error).split())
        fault = wheels_fault(wheels) or f"{wheels[0]} does not fit this system: {_install(wheels)}"
        return f"{MODULE} can't be used ({told}); {fault}"
    return None


def _provides_module(distribution: Distribution) -> bool:
    names = distribution.read_text("top_level.txt")
    if names is not None:
        return MODULE in names.split()
    return any(path.partition("/")[0] == MODULE for path, _ in _recorded(distribution))


def _wheel(distribution: Distribution) -> Wheel:
    folder = Path(str(distribution.locate_file(""))).resolve()
    sizes = {
        path: size
        for path, size in _recorded(distribution)
        if path.startswith(f"{MODULE}/") and size and Path(path).suffix in _CODE_SUFFIXES
    }
    lost = sum(_size(folder / path) != int(size) for path, size in sizes.items())
    return Wheel(
        name=re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower(),
        version=distribution.version,
        folder=folder,
        lost_files=lost if sizes else None,
    )


def _recorded(distribution: Distribution) -> list[tuple[str, str]]:
    """Path and size (empty if not recorded) of each file that pip installed."""
    rows = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return [(row[0], row[2]) for row in rows if len(row) == 3]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _whose_files(wheels: tuple[Wheel, ...]) -> str:
    whole = [wheel for wheel in wheels if wheel.lost_files == 0]
    return f" (those of {whole[0].name} lie there now)" if len(whole) == 1 else ""


def _install(wheels: tuple[Wheel, ...]) -> str:
    """How to install the wanted wheel: a plain onnxruntime among others came as a dependency."""
    if not wheels:
        wanted = "onnxruntime, or onnxruntime-gpu where PyPI has it"
    else:
        wanted = max((wheel.name for wheel in wheels), key=_speciality)
    vendor = ", on a Jetson the vendor's wheel file" if platform.machine() == "aarch64" else ""
    return f"pip install {wanted}{vendor}{_AND_NO_OTHER if len(wheels) > 1 else ''}"


def _speciality(name: str) -> int:
    return {MODULE: 0, f"{MODULE}-gpu": 1}.get(name, 2)
