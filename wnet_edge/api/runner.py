"""A package opened once: scans to images, counts to patches."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from wnet_edge.api.images import Image
from wnet_edge.api.scans import File, Scan, read_scan
from wnet_edge.choices import chosen
from wnet_edge.embedded import opened_package, path_of
from wnet_edge.errors import OptionError, ProviderError, ScanError
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.refining.options import PositionCorrection, RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.scan_image import image_of, made_ready
from wnet_edge.scan.preparation import Preparation

AUTO = "auto"


class Patches(NamedTuple):
    """What a network says of single frames.

    Attributes:
        amplitude: (N, h, w) float32, relative to the patch's illumination-weighted RMS.
        phase_rad: (N, h, w) float32; each patch has a global phase of its own.
    """

    amplitude: NDArray[np.float32]
    phase_rad: NDArray[np.float32]


class Runner:
    """An opened package: one session, many scans, one after the other.

    Made by `wnet_edge.open`. A context manager: `close` lets the session's memory go.
    """

    def __init__(self, opened: ChosenGraph) -> None:
        self._opened: ChosenGraph | None = opened

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the session go; nothing can be run any more."""
        self._opened = None

    @property
    def package(self) -> Package:
        """The verified package: its manifest, probe and golden frames."""
        return self._open.package

    @property
    def precision(self) -> str:
        """Of the graph: "fp32", "fp16" or "int8"."""
        return self._open.precision.value

    @property
    def provider(self) -> str:
        """Execution provider that runs it: "cpu", "cuda", for example."""
        return self._open.provider.value

    @property
    def reason(self) -> str:
        """Why this precision and provider, in a line."""
        return self._open.reason

    def infer(
        self,
        scan: Scan | File | NDArray[Any],
        *,
        orientation: str | None = None,
        position_orientation: str = Orientation.IDENTITY.value,
        refine: int | str | None = None,
        refine_positions: str | None = None,
        refine_probe: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Image:
        """A scan's image.

        Args:
            scan: from `wnet_edge.read_scan`, which takes all that a file does not say; or a file.
            orientation: what is done to a frame first: "identity", "rot90" …, or "auto" to try
                all; None: the package's.
            position_orientation: what is done to the positions' axes, likewise.
            refine: passes over the frames that improve the image, or "auto": as many as pay; None:
                none.
            refine_positions: "each" corrects each frame's position, "affine" the stage's scale,
                rotation and shear, too; None: neither.
            refine_probe: whether the passes improve the probe, too.
            progress: called after each batch or pass with the number of frames in it.

        Raises:
            OptionError: if an orientation, or what is to be refined, is none.
            ScanError: if the scan can't be read, lacks a part or is not far-field.
            PackageError: if the package does not fit it.
            ProviderError: if the execution provider fails.
            ResultError: if no frame has anything to show.
        """
        opened = self._open
        if not isinstance(scan, Scan):
            scan = read_scan(scan)
        frames = _orientation(orientation, "orientation", opened.package.manifest.orientation)
        positions = _orientation(position_orientation, "position_orientation", Orientation.IDENTITY)
        correction = (
            None
            if refine_positions is None
            else chosen(PositionCorrection, refine_positions, "refine_positions")
        )
        refining = _refine_options(refine, probe=refine_probe)
        ready = made_ready(scan.found, opened, frames, positions)
        return Image(image_of(ready, progress, refining, correction))

    def patches(self, counts: NDArray[Any]) -> Patches:
        """Amplitude and phase of single frames, without stitching.

        Args:
            counts: (N, n, n) counts of the package's window, zero frequency at (n // 2, n // 2);
                binned as the network takes them, or as the detector has them. NaN where a pixel
                has none.

        Returns:
            Patches of the network's window; NaN for a frame that `infer` would leave out, without
            counts or as bright everywhere.

        Raises:
            ScanError: if these are no frames of the package's window.
            ProviderError: if the execution provider fails.
        """
        opened, manifest = self._open, self._open.package.manifest
        sizes = (manifest.window_px, manifest.frame_px)
        values = np.asarray(counts)
        if values.ndim != 3 or values.shape[1] != values.shape[2] or values.shape[1] not in sizes:
            raise ScanError(
                f"counts are {values.shape}, not (N, {sizes[0]}, {sizes[0]}) or (N, {sizes[1]}, "
                f"{sizes[1]}) as {manifest.model} takes them"
            )
        if values.dtype.kind not in "uif":
            raise ScanError(f"counts are {values.dtype}; give real numbers")
        size_px = values.shape[1]
        mask = np.zeros((size_px, size_px), np.bool_)
        preparation = Preparation(mask, size_px // manifest.window_px)
        shape = (len(values), manifest.window_px, manifest.window_px)
        found = Patches(np.empty(shape, np.float32), np.empty(shape, np.float32))
        for start in range(0, len(values), opened.graph.batch_size):
            part = slice(start, start + opened.graph.batch_size)
            batch = preparation.prepare(values[part].astype(np.float32))
            for whole, some in zip(found, opened.graph.run(batch.counts), strict=True):
                whole[part] = some[:, 0]
                whole[part][batch.totals == 0] = np.nan
        return found

    @property
    def _open(self) -> ChosenGraph:
        return self._opened if self._opened is not None else _closed()


def _closed() -> NoReturn:
    raise ProviderError("the runner is closed; open the package again")


def _refine_options(passes: int | str | None, *, probe: bool) -> RefineOptions | None:
    if passes is None:
        if probe:
            raise OptionError("refine_probe is for the passes of refine=N")
        return None
    if passes != AUTO and (not isinstance(passes, int) or passes < 1):
        raise OptionError(f"refine is {passes!r}; give 1 or more passes, or {AUTO!r}")
    return RefineOptions(None if isinstance(passes, str) else passes, probe=probe)


def _orientation(name: str | None, option: str, otherwise: Orientation) -> Orientation | None:
    """None where it is to be found by trial."""
    if name is None:
        return otherwise
    if name == AUTO:
        return None
    return chosen(Orientation, name, option, AUTO)


def open_runner(
    package: File = "w3",
    *,
    precision: str = AUTO,
    provider: str = AUTO,
    threads: int | None = None,
    batch_size: int | None = None,
    trust: File | None = None,
) -> Runner:
    """Open a package, verified, in the precision and on the execution provider that suit.

    Args:
        package: name of an embedded one, or a file that ends in .wnet.
        precision: "fp32", "fp16", "int8", or "auto": the fastest by `wnet-edge tune`, else a safe
            one.
        provider: "cpu", "cuda", "tensorrt" …, or "auto": a card where one works, else the
            processor.
        threads: of the processor; 0: one per core; None: as tuned, else 0.
        batch_size: frames run at once; None: as tuned, else 32.
        trust: public key (PEM) that must have signed the package.

    Raises:
        OptionError: if there is no such precision or provider.
        PackageError: if it is missing, damaged or of another version.
        SignatureError: if it does not bear the signature that was asked for.
        ProviderError: if an execution provider that was asked for is unavailable.
    """
    options = RunnerOptions(
        None if precision == AUTO else chosen(Precision, precision, "precision", AUTO),
        chosen(Provider, provider, "provider"),
        threads,
        batch_size,
    )
    opened = opened_package(package, None if trust is None else path_of(trust))
    return Runner(open_best_graph(opened, options))
