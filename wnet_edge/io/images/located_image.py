"""Reading of object images with their location, in the formats of `infer` and Ptychodus products.

Used by `wnet_edge.io.images.object_image_file`, which detects the file type, and by
`wnet_edge.io.images.placed_image`, which needs the location on the object. Sizes are checked before
memory is allocated.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.errors import ResultError
from wnet_edge.host.inputs import note_input
from wnet_edge.io.containers.hdf5.reader import decoded, is_complex
from wnet_edge.io.containers.tiff.library import load_tifffile
from wnet_edge.io.images.result_file import MAX_IMAGE_PX, read_result
from wnet_edge.io.images.result_format import ResultFormat, paths_from
from wnet_edge.physics.gauge import illumination_weight, probe_intensity

_SQUARE = 0.01
_MAX_LAYERS = 64
_PARTS = ("phase", "amplitude")

CXI_IMAGE = "entry_1/image_1"
"""Where a CXI file holds its image."""

ORIGIN_KEYS = ("origin_row_px", "origin_column_px")
"""Keys of the image's origin on the object in the description, as a result file's `origin_px`."""

PRODUCT = ("object", "probe", "probe_position_x_m", "probe_position_y_m")
"""Required datasets of a Ptychodus product."""

_GEOMETRY = {
    "height": "pixel_height_m",
    "width": "pixel_width_m",
    "x": "center_x_m",
    "y": "center_y_m",
}


@dataclass(frozen=True)
class LocatedImage:
    """An object image with its location on the object, as far as its file states it.

    Attributes:
        image: image of the object.
        origin_px: (2,) object row, column of its first pixel, in the coordinates of the positions;
            None if the file does not state it.
        windows_px: (N, 2) image row, column at which each frame's full window begins, with position
            corrections of the program that wrote it; None if the file has none.
        frame_numbers: (N,) frame numbers of these windows.
    """

    image: ObjectImage
    origin_px: NDArray[np.float64] | None = None
    windows_px: NDArray[np.float64] | None = None
    frame_numbers: NDArray[np.int64] | None = None


def read_hdf5_image(path: Path) -> LocatedImage:
    """Read the image of a result file, a CXI file or a Ptychodus product.

    Raises:
        ResultError: if it is none of these, or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            if isinstance(file.get(f"{CXI_IMAGE}/data"), h5py.Dataset):
                return _of_cxi(path, file)
            if all(isinstance(file.get(name), h5py.Dataset) for name in PRODUCT):
                return _of_product(path, _product_values(path, file))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResultError(f"{path}: is damaged ({reason}); create it again") from error
    result = read_result(path)
    image = ObjectImage(str(path), result.image, result.coverage, result.pixel_size_m)
    return LocatedImage(image, result.origin_px.astype(np.float64))


def product_image(path: Path, values: dict[str, Any]) -> LocatedImage:
    """The image of a Ptychodus .npz product, from its members by name."""
    geometry = {k: values.get(f"object_{name}") for k, name in _GEOMETRY.items()}
    return _of_product(path, values | geometry)


def read_tiff_image(path: Path) -> LocatedImage:
    """Read the image of a pair of TIFF files, phase and amplitude, of which `path` is one.

    Raises:
        ResultError: if the other is not beside it, tifffile is not installed, or they are no pair.
    """
    phase, amplitude = _pair(path)
    (phases, size_m, origin), (amplitudes, _, _) = (_page(part) for part in (phase, amplitude))
    if phases.shape != amplitudes.shape:
        raise ResultError(f"{path}: phase and amplitude differ in shape; create them again")
    image = (amplitudes * np.exp(np.complex64(1j) * phases)).astype(np.complex64)
    return LocatedImage(ObjectImage(str(path), image, None, size_m), origin)


def coverage_of(
    shape: tuple[int, ...], probe: NDArray[np.complex64], windows_px: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Coverage (H, W) float32: summed probe weight of the windows inside, to whole pixels."""
    height, width = probe.shape[1:]
    weight = illumination_weight(probe_intensity(probe))
    coverage = np.zeros(shape, dtype=np.float32)
    whole = np.rint(windows_px).astype(np.int64)
    inside = ((whole >= 0) & (whole <= np.subtract(shape, (height, width)))).all(axis=1)
    for row, column in whole[inside].tolist():
        coverage[row : row + height, column : column + width] += weight
    return coverage


def _of_cxi(path: Path, file: h5py.File) -> LocatedImage:
    dataset = file[f"{CXI_IMAGE}/data"]
    image = _complex_image(path, dataset)
    size = file.get(f"{CXI_IMAGE}/x_pixel_size")
    coverage = file.get(f"{CXI_IMAGE}/coverage")
    origin = dataset.attrs.get("origin_px")
    seen = None
    if isinstance(coverage, h5py.Dataset) and coverage.shape == image.shape:
        seen = np.asarray(coverage[()], dtype=np.float32)
    size_m = None if size is None else _positive(path, "x_pixel_size", size[()])
    return LocatedImage(
        ObjectImage(str(path), image, seen, size_m),
        None if origin is None else np.asarray(origin, dtype=np.float64),
    )


def _product_values(path: Path, file: h5py.File) -> dict[str, Any]:
    dataset = file["object"]
    _check_layers(path, dataset.shape, dataset.dtype)
    names = (*PRODUCT, *({"probe_position_indexes"} & set(file)))
    geometry = {key: dataset.attrs.get(name) for key, name in _GEOMETRY.items()}
    return {name: file[name][()] for name in names} | geometry


def _check_layers(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that a product's object is an image, or several layers of one.

    Raises:
        ResultError: if it is not, before it is read.
    """
    fits = len(shape) in (2, 3) and 0 not in shape and math.prod(shape[-2:]) <= MAX_IMAGE_PX
    if not fits or dtype.kind != "c" or math.prod(shape[:-2]) > _MAX_LAYERS:
        raise ResultError(
            f"{path}: its object is {dtype} {shape}, not complex (layers, H, W); save it again"
        )


def _of_product(path: Path, values: dict[str, Any]) -> LocatedImage:
    """Image and windows of a product; several layers are multiplied, as for a thin object."""
    layers = np.asarray(values["object"])
    _check_layers(path, layers.shape, layers.dtype)
    image = layers.reshape(-1, *layers.shape[-2:]).prod(axis=0).astype(np.complex64)
    height_m, width_m = (_positive(path, f"pixel {e}", values[e]) for e in ("height", "width"))
    if abs(height_m / width_m - 1) > _SQUARE:
        raise ResultError(f"{path}: has pixels of {height_m:g} × {width_m:g} m; make them square")
    probe = np.asarray(values["probe"])
    probe = probe[0] if probe.ndim == 4 else probe
    positions_m = np.stack([values["probe_position_y_m"], values["probe_position_x_m"]], axis=-1)
    centre_m = np.array([values["y"] or 0.0, values["x"] or 0.0], dtype=np.float64)
    if positions_m.ndim != 2 or probe.ndim != 3 or not np.isfinite(positions_m).all():
        raise ResultError(f"{path}: its probe or positions are damaged; save it again")
    # In Ptychodus the centre of a probe at position x is (x - centre) / pixel + (size - 1) / 2.
    first = centre_m / width_m - (np.array(image.shape) - probe.shape[-2:]) / 2
    windows_px = positions_m / width_m - first
    coverage = None
    if probe.dtype.kind == "c" and np.isfinite(probe).all() and probe.any():
        coverage = coverage_of(image.shape, probe.astype(np.complex64), windows_px)
    if coverage is not None and not coverage.any():
        coverage = None
    numbers = values.get("probe_position_indexes")
    return LocatedImage(
        ObjectImage(str(path), image, coverage, width_m),
        first,
        windows_px,
        np.arange(len(windows_px)) if numbers is None else np.asarray(numbers, dtype=np.int64),
    )


def _complex_image(path: Path, dataset: h5py.Dataset) -> NDArray[np.complex64]:
    shape = dataset.shape
    if len(shape) > 2 and math.prod(shape[:-2]) == 1:
        shape = shape[-2:]
    fits = len(shape) == 2 and 0 not in shape and math.prod(shape) <= MAX_IMAGE_PX
    if not fits or not is_complex(dataset):
        raise ResultError(
            f"{path}: {dataset.name} is {dataset.dtype} {dataset.shape}, not a complex image; "
            "give a reconstruction"
        )
    return decoded(dataset, dataset[()]).astype(np.complex64).reshape(shape)


def _positive(path: Path, name: str, value: Any) -> float:  # noqa: ANN401 - of any file
    number = float(np.asarray(value).reshape(-1)[0]) if np.size(value) == 1 else math.nan
    if not (math.isfinite(number) and number > 0):
        raise ResultError(f"{path}: its {name} of {value} is impossible; create it again")
    return number


def _pair(path: Path) -> tuple[Path, Path]:
    """Paths of phase and amplitude; `path` is one of them, or the name given with `-o`."""
    if not path.exists():
        named = paths_from(ResultFormat.TIFF, path)
        return named[0], named[1]
    for part, other in (_PARTS, _PARTS[::-1]):
        if f".{part}." in path.name:
            beside = path.with_name(path.name.replace(f".{part}.", f".{other}."))
            if not beside.is_file():
                raise ResultError(f"{path}: {beside.name} is not next to it; an image needs both")
            return (path, beside) if part == "phase" else (beside, path)
    raise ResultError(
        f"{path}: is not a phase or amplitude of a pair; name NAME.phase.tif, with "
        "NAME.amplitude.tif next to it"
    )


def _page(path: Path) -> tuple[NDArray[np.float32], float | None, NDArray[np.float64] | None]:
    """Image, pixel size and origin of a TIFF file."""
    tifffile = load_tifffile(path)
    note_input(path, ResultError)
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if page.ndim != 2 or page.dtype != np.float32 or page.size > MAX_IMAGE_PX:
                raise ResultError(f"{path}: is {page.dtype} {page.shape}, not a float32 image")
            known = page.resolutionunit == tifffile.RESUNIT.CENTIMETER and page.resolution[0] > 0
            told = file.imagej_metadata or {}
            image = page.asarray()
            size_m = 0.01 / page.resolution[0] if known else None
    except (OSError, ValueError, RuntimeError, IndexError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ResultError(f"{path}: can't be read as TIFF ({reason}); create it again") from error
    origin = [told.get(key) for key in ORIGIN_KEYS]
    if any(not isinstance(value, (int, float)) for value in origin):
        return image, size_m, None
    return image, size_m, np.array(origin, dtype=np.float64)
