"""The result file: an object image with its location and provenance.

The end of frames → preprocess → graph → patches → stitch → image. NeXus HDF5: silx view, h5web and
nexusformat follow the `default` attributes and show the phase at once. In the file, phase,
amplitude and object are NaN where coverage is zero, so that viewers scale colours by valid pixels;
on reading they become zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.host.inputs import input_file
from wnet_edge.io.containers.hdf5.faults import FileRefusedError
from wnet_edge.io.containers.hdf5.links import OpenFile
from wnet_edge.io.containers.hdf5.opening import Family
from wnet_edge.io.containers.hdf5.output import replacing_hdf5
from wnet_edge.io.images.image_context import ImageContext

MAX_IMAGE_PX = 400_000_000
"""Largest image; a file that states a larger one is refused before memory is allocated."""

_DATA = "entry/reconstruction"
_PROCESS = "entry/process"
_PROGRAM = "wnet-edge"
_IMAGES = {
    "phase": ("rad", "Phase (rad)"),
    "amplitude": (None, "Amplitude"),
    "coverage": (None, "Coverage (summed illumination weight)"),
}


RecordedValue = float | str | tuple[float, ...]


@dataclass(frozen=True)
class Provenance:
    """Provenance of an image; values that do not apply are empty.

    Attributes:
        package_name: name of the package.
        package_sha256: hash of the package file.
        precision: precision of the graph.
        provider: ONNX Runtime execution provider.
        command_line: command line as typed.
        date: ISO 8601 with time zone.
        source: name of the scan file.
        amplitude_scale: reference of the amplitude scale.
        trusted: "yes" if the image explains its frames, "no", or "unknown".
        frames_received: number of frames in the scan.
        frames_processed: number of frames in the image.
        frames_lost: number of frames that are not in the image.
        versions: software versions by name.
        scan: choices made in framing the scan, by name.
        refinement: passes, seconds, why they stopped, and the R-factor before each and after the
            last; empty if the image was not refined.
        reference: engine, epochs, errors and R-factors of an iterative reconstruction; empty if the
            image is none.
        self_check: r_factor, r_floor, r_blank, explained, contrast and the number of frames
            compared; empty if none could be.
        timing_s: seconds by step.
        warnings: warnings for the user, one line each.
    """

    package_name: str = ""
    package_sha256: str = ""
    precision: str = ""
    provider: str = ""
    command_line: str = ""
    date: str = ""
    source: str = ""
    amplitude_scale: str = ""
    trusted: str = ""
    frames_received: int = 0
    frames_processed: int = 0
    frames_lost: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    scan: Mapping[str, str] = field(default_factory=dict)
    refinement: Mapping[str, RecordedValue] = field(default_factory=dict)
    reference: Mapping[str, RecordedValue] = field(default_factory=dict)
    self_check: Mapping[str, float] = field(default_factory=dict)
    timing_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """An object image with its location and provenance.

    Attributes:
        phase: (H, W) float32 rad.
        amplitude: (H, W) float32.
        coverage: (H, W) float32, summed weight; phase and amplitude are 0 where it is 0.
        window_offset_px: (2,) float64 row, column: position_px + offset = centre of the top-left
            pixel of that frame's network window in this image.
        origin_px: (2,) int64, object row, column of image pixel (0, 0), in the coordinates of the
            positions.
        pixel_size_m: edge of a pixel, None if unknown.
        process: provenance.
    """

    phase: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    coverage: NDArray[np.float32]
    window_offset_px: NDArray[np.float64]
    origin_px: NDArray[np.int64]
    pixel_size_m: float | None
    process: Provenance

    @classmethod
    def of_image(
        cls,
        image: NDArray[np.complex64],
        coverage: NDArray[np.float32],
        window_offset_px: NDArray[np.float64],
        origin_px: NDArray[np.int64],
        pixel_size_m: float | None,
        process: Provenance,
    ) -> "Result":
        """Result from a stitched complex image (H, W)."""
        phase, amplitude = np.angle(image), np.abs(image)
        return cls(phase, amplitude, coverage, window_offset_px, origin_px, pixel_size_m, process)

    @property
    def image(self) -> NDArray[np.complex64]:
        """Complex image amplitude · exp(i phase), (H, W) complex64."""
        image: NDArray[np.complex64] = self.amplitude * np.exp(np.complex64(1j) * self.phase)
        return image


def write_result(
    path: Path, result: Result, context: ImageContext | None = None, *, force: bool = False
) -> None:
    """Write a result file atomically.

    Args:
        path: path of the file.
        result: image to write.
        context: data of its scan; if given, probe, positions and energy are written, too.
        force: replace an existing file.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
        ValueError: if the images differ in shape.
    """
    if not result.phase.shape == result.amplitude.shape == result.coverage.shape:
        raise ValueError("phase, amplitude and coverage differ in shape")
    with replacing_hdf5(path, force=force) as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": _PROGRAM})
        entry = _group(file, "entry", "NXentry")
        entry.attrs["default"] = "reconstruction"
        entry["title"] = f"Reconstruction of {result.process.source or 'an object'}"
        _write_data(_group(entry, "reconstruction", "NXdata"), result)
        _write_process(_group(entry, "process", "NXprocess"), result.process)
        if context is not None:
            _write_context(entry, result, context)


def read_result(path: Path) -> Result:
    """Read a result file.

    Raises:
        ResultError: if the file is missing, damaged or not a result file.
    """
    path = Path(path)  # accepts str, too
    input_file(path, ResultError, "name a result file")
    try:
        result = OpenFile(path, Family(path))
        with result.file:
            return _read(path, result.root)
    except FileRefusedError as error:
        raise ResultError(f"{path}: {error.fault.what}; {error.fault.cure}") from error
    except ScanError as error:
        raise ResultError(str(error)) from error
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ResultError(
            f"{path}: damaged, or not a result file ({reason}); create it again"
        ) from error


def _group(parent: Any, name: str, nx_class: str) -> Any:  # noqa: ANN401 - h5py has no types
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def _write_data(group: Any, result: Result) -> None:  # noqa: ANN401 - h5py has no types
    seen = result.coverage > 0
    for name, (units, long_name) in _IMAGES.items():
        image = np.asarray(getattr(result, name), np.float32)
        if name != "coverage":
            image = np.where(seen, image, np.float32(np.nan))
        dataset = group.create_dataset(name, data=image)
        dataset.attrs.update({"long_name": long_name, "interpretation": "image"})
        if units:
            dataset.attrs["units"] = units
    group["object"] = np.where(seen, result.image, np.complex64(complex(np.nan, np.nan)))
    group["object"].attrs["long_name"] = "Object: amplitude · exp(i phase)"
    known = result.pixel_size_m is not None
    step, units = (result.pixel_size_m, "m") if known else (1.0, "pixel")
    for axis, name in enumerate(("y", "x")):
        ticks = (result.origin_px[axis] + np.arange(result.phase.shape[axis])) * np.float64(step)
        dataset = group.create_dataset(name, data=ticks)
        dataset.attrs.update({"units": units, "long_name": f"{name} ({units})"})
        group.attrs[f"{name}_indices"] = axis
    text = h5py.string_dtype()
    group.attrs.update({"signal": "phase", "title": "Phase"})
    group.attrs["axes"] = np.array(["y", "x"], dtype=text)
    group.attrs["auxiliary_signals"] = np.array(["amplitude", "coverage"], dtype=text)
    group.attrs["window_offset_px"] = np.asarray(result.window_offset_px, np.float64)
    group.attrs["origin_px"] = np.asarray(result.origin_px, np.int64)
    if known:
        group.attrs["pixel_size_m"] = result.pixel_size_m


def _write_process(group: Any, process: Provenance) -> None:  # noqa: ANN401 - h5py has no types
    group["program"] = _PROGRAM
    group["version"] = process.versions.get(_PROGRAM, "")
    for name, value in vars(process).items():
        if isinstance(value, Mapping):
            collection = _group(group, name, "NXcollection")
            for key, entry in value.items():
                dataset = collection.create_dataset(key.replace("-", "_"), data=entry)
                dataset.attrs["name"] = key  # NeXus names can't have a hyphen
        elif isinstance(value, tuple):
            group.create_dataset(name, data=list(value), dtype=h5py.string_dtype())
        else:
            group[name] = value
    for seconds in group["timing_s"].values():
        seconds.attrs["units"] = "s"


def _write_context(entry: Any, result: Result, context: ImageContext) -> None:  # noqa: ANN401 - h5py has no types
    """Write energy, probe, distance and positions under their NeXus names."""
    instrument = _group(entry, "instrument", "NXinstrument")
    beam = _group(instrument, "beam", "NXbeam")
    if context.energy_ev is not None:
        beam["incident_energy"] = context.energy_ev
        beam["incident_energy"].attrs["units"] = "eV"
    beam["illumination"] = context.probe.astype(np.complex64, copy=False)
    beam["illumination"].attrs["long_name"] = "Probe (mode, y, x), square-root counts"
    if result.pixel_size_m is not None:
        beam["illumination"].attrs["pixel_size_m"] = result.pixel_size_m
    if context.distance_m is not None:
        detector = _group(instrument, "detector", "NXdetector")
        detector["distance"] = context.distance_m
        detector["distance"].attrs["units"] = "m"
    sample = _group(entry, "sample", "NXsample")
    positions = _group(sample, "positions", "NXtransformations")
    positions_m = np.where(context.left_out[:, None], np.nan, context.positions_m)
    for axis, (name, vector) in enumerate((("y", (0, 1, 0)), ("x", (1, 0, 0)))):
        dataset = positions.create_dataset(name, data=positions_m[:, axis])
        dataset.attrs.update(
            {
                "units": "m",
                "long_name": f"{name} of the first pixel of each frame's full window",
                "transformation_type": "translation",
                "vector": np.array(vector, np.float64),
                "depends_on": "." if axis == 0 else "y",
            }
        )


def _read(path: Path, file: Any) -> Result:  # noqa: ANN401 - h5py has no types
    group = file.get(_DATA)
    if not isinstance(group, h5py.Group) or not all(
        isinstance(group.get(name), h5py.Dataset) for name in _IMAGES
    ):
        raise ResultError(
            f"{path}: not a result file, it has no /{_DATA} with {', '.join(_IMAGES)}; "
            "give a file that wnet-edge infer has written"
        )
    shape = group["phase"].shape
    if any(group[name].shape != shape for name in _IMAGES) or len(shape) != 2 or 0 in shape:
        raise ResultError(f"{path}: phase, amplitude and coverage differ in shape; create it again")
    if shape[0] * shape[1] > MAX_IMAGE_PX:
        raise ResultError(f"{path}: {shape[0]} × {shape[1]} pixels are too many to read")
    images = {name: group[name][()].astype(np.float32, copy=False) for name in _IMAGES}
    unseen = images["coverage"] == 0
    for name in ("phase", "amplitude"):
        images[name][unseen] = 0
    pixel_size_m = group.attrs.get("pixel_size_m")
    if pixel_size_m is not None and not (np.isfinite(pixel_size_m) and pixel_size_m > 0):
        raise ResultError(
            f"{path}: its pixel size of {pixel_size_m} m is impossible; create it again"
        )
    return Result(
        **images,
        window_offset_px=np.asarray(group.attrs["window_offset_px"], dtype=np.float64),
        origin_px=np.asarray(group.attrs["origin_px"], dtype=np.int64),
        pixel_size_m=None if pixel_size_m is None else float(pixel_size_m),
        process=_read_process(file.get(_PROCESS)),
    )


def _read_process(group: Any) -> Provenance:  # noqa: ANN401 - h5py has no types
    if group is None:
        return Provenance()
    values: dict[str, Any] = {}
    for name, default in vars(Provenance()).items():
        if name not in group:
            continue
        if isinstance(default, str):
            values[name] = group[name].asstr()[()]
        elif isinstance(default, int):
            values[name] = int(group[name][()])
        elif isinstance(default, tuple):
            values[name] = tuple(group[name].asstr()[()].tolist())
        else:
            values[name] = {_key(entry): _recorded(entry) for entry in group[name].values()}
    return Provenance(**values)


def _recorded(entry: Any) -> RecordedValue:  # noqa: ANN401 - h5py has no types
    if h5py.check_string_dtype(entry.dtype) is not None:
        return str(entry.asstr()[()])
    return tuple(entry[()].tolist()) if entry.shape else float(entry[()])


def _key(entry: Any) -> str:  # noqa: ANN401 - h5py has no types
    """Original name of an entry, including hyphens."""
    return str(entry.attrs.get("name", entry.name.rpartition("/")[2]))
