"""A scene as a task of pty-chi, and what the task makes of it, epoch by epoch.

The one module that imports pty-chi and PyTorch. pty-chi transforms without a factor, where Ψ here
is unitary: its probe is smaller by the window's edge. It places a window by its centre,
(n - 1) / 2.
"""

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of parts of its libraries that it does not use
    import ptychi.api as ptychi
    import torch
    from ptychi.api.task import PtychographyTask
    from ptychi.utils import generate_secondary_probe_modes_hermite

from wnet_edge.reference.options import Engine, ReferenceOptions
from wnet_edge.reference.scene import Scene

_ADDED_POWER = 0.02
"""Of the probe's power that each added mode begins with."""

_MOMENTUM = 0.7
_MOMENTUM_STEP = 0.2
"""mPIE's friction and feedback, for updates of several frames (Maiden et al., Optica 4, 736, 2017,
eq. 19, take 0.9 and 1 for single ones)."""

_EPIE_STEP = 1.0
_PIE_REGULARISATION = 0.1
_PIE_PROBE_STEP = 0.1
"""A larger one lets the probe follow the few frames of the last update."""

_POSITION_STEP = 1.0
_OPTIONS = {
    Engine.EPIE: ptychi.EPIEOptions,
    Engine.MPIE: ptychi.RPIEOptions,
    Engine.DM: ptychi.DMOptions,
    Engine.LSQML: ptychi.LSQMLOptions,
}


class Task:
    """A reconstruction under way; a context manager.

    Args:
        scene: what it begins with.
        options: how to reconstruct.
        device: "cpu" or "cuda".
    """

    def __init__(self, scene: Scene, options: ReferenceOptions, device: str) -> None:
        self._size_px = scene.frame_px
        self._options = options
        self._probe = scene.probe
        self._opened = contextlib.ExitStack()
        self._opened.enter_context(_quiet(options.threads))
        valid = np.fft.ifftshift(scene.valid)
        counts = np.fft.ifftshift(np.maximum(scene.counts, 0), axes=(1, 2))
        rows_px, columns_px = scene.windows_px.astype(np.float32).T
        try:
            self._task = PtychographyTask(
                _task_options(scene, options, device),
                diffraction_data=counts * valid,
                object_data=scene.object[None].copy(),  # pty-chi works on what it is given
                probe_data=self._start_probe()[None] / np.float32(self._size_px),
                probe_position_y_px=rows_px,
                probe_position_x_px=columns_px,
                valid_pixel_mask=valid,
            )
            self._reconstructor: Any = self._task.reconstructor
            _shift_every_mode(self._reconstructor)
            # It takes the order of frames from a generator that no option seeds.
            self._reconstructor.dataloader.generator.manual_seed(options.seed)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> "Task":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def run_epoch(self) -> float:
        """One epoch; gives pty-chi's own error of it."""
        self._task.run(1)
        return float(self._reconstructor.loss_tracker.table["loss"].iloc[-1])

    @property
    def object(self) -> NDArray[np.complex64]:
        """(H, W) complex64, as it is now."""
        return np.array(self._task.get_data_to_cpu("object", as_numpy=True)[0], np.complex64)

    @property
    def probe(self) -> NDArray[np.complex64]:
        """(modes, n, n) complex64 in √counts, likewise."""
        probe = self._task.get_data_to_cpu("probe", as_numpy=True)[0]
        return np.array(self._size_px * probe, np.complex64)

    @property
    def windows_px(self) -> NDArray[np.float64]:
        """(N, 2) row, column at which the windows begin, likewise."""
        return np.array(self._task.get_data_to_cpu("probe_positions", as_numpy=True), np.float64)

    def _start_probe(self) -> NDArray[np.complex64]:
        """The probe with as many modes as are asked for."""
        lacking = (self._options.modes or 0) - len(self._probe)
        if lacking <= 0:
            return self._probe
        most = int(np.ceil(np.sqrt(lacking + 1)))
        family = generate_secondary_probe_modes_hermite(torch.tensor(self._probe[0]), most, most)
        power = np.float32(np.sqrt(_ADDED_POWER * np.sum(np.abs(self._probe) ** 2)))
        added = power * family[1 : 1 + lacking].numpy()
        return np.concatenate([self._probe, added]).astype(np.complex64)


def _task_options(scene: Scene, options: ReferenceOptions, device: str) -> Any:  # noqa: ANN401 - a class for each engine
    """What pty-chi is told, but for arrays."""
    told = _OPTIONS[options.engine]()
    told.data_options.fft_shift = False
    told.data_options.wavelength_m = scene.wavelength_m
    told.object_options.pixel_size_m = scene.object_pixel_size_m
    told.object_options.determine_position_origin_coords_by = (
        ptychi.ObjectPosOriginCoordsMethods.SPECIFIED
    )
    told.object_options.position_origin_coords = [(scene.frame_px - 1) / 2] * 2
    # A held probe sets the object's scale and keeps its modes.
    told.object_options.remove_object_probe_ambiguity.enabled = options.refine_probe
    told.probe_options.optimizable = options.refine_probe
    told.probe_options.orthogonalize_incoherent_modes.enabled = options.refine_probe
    told.probe_position_options.optimizable = options.refine_positions
    told.probe_position_options.step_size = _POSITION_STEP
    # pty-chi limits steps by the mean over all frames, of which those of other updates have none.
    told.probe_position_options.correction_options.clip_update_magnitude_by_mad = False
    told.probe_position_options.correction_options.update_magnitude_limit = None
    run = told.reconstructor_options
    run.num_epochs = options.epochs
    run.random_seed = options.seed
    run.default_device = ptychi.Devices.CPU if device == "cpu" else ptychi.Devices.GPU
    run.allow_nondeterministic_algorithms = False
    if options.engine is Engine.DM:
        run.chunk_length = options.update_frames
    else:
        run.batch_size = _even(len(scene.counts), options.update_frames)
    _tune(told, options)
    return told


def _even(count: int, wanted: int) -> int:
    """Frames of an update, about as many as wanted, so that the last one is no small rest."""
    return math.ceil(count / max(round(count / wanted), 1))


def _tune(told: Any, options: ReferenceOptions) -> None:  # noqa: ANN401 - as above
    """Settings of the engine itself, where pty-chi's defaults serve less well."""
    match options.engine:
        case Engine.EPIE:
            told.object_options.alpha = _EPIE_STEP
            told.probe_options.alpha = _EPIE_STEP
            told.probe_options.step_size = _PIE_PROBE_STEP
        case Engine.MPIE:
            told.probe_options.step_size = _PIE_PROBE_STEP
            told.object_options.alpha = _PIE_REGULARISATION
            told.object_options.step_size = _MOMENTUM_STEP
            told.object_options.optimizer_params = {"momentum": _MOMENTUM, "nesterov": True}
        case Engine.LSQML:
            told.reconstructor_options.rescale_probe_intensity_in_first_epoch = False
            told.object_options.build_preconditioner_with_all_modes = True


def _shift_every_mode(reconstructor: Any) -> None:  # noqa: ANN401 - pty-chi has no types
    """Let every mode follow a position's fraction of a pixel; pty-chi 2.2 lets only the first."""
    model = reconstructor.forward_model
    shift, shift_back = (
        model.shift_unique_probes,
        reconstructor.adjoint_shift_probe_update_direction,
    )

    def shifted(indices: Any, probes: Any, first_mode_only: bool = False) -> Any:  # noqa: ANN401, ARG001
        each = probes.split(1, dim=-3)
        return torch.cat([shift(indices, one, first_mode_only=True) for one in each], dim=-3)

    def shifted_back(indices: Any, updates: Any, first_mode_only: bool = False) -> Any:  # noqa: ANN401, ARG001
        each = updates.split(1, dim=-3)
        return torch.cat([shift_back(indices, one, first_mode_only=True) for one in each], dim=-3)

    model.shift_unique_probes = shifted
    reconstructor.adjoint_shift_probe_update_direction = shifted_back


@contextlib.contextmanager
def _quiet(threads: int | None) -> Iterator[None]:
    """Context in which pty-chi says nothing, and after which PyTorch is as it was."""
    before, logged = torch.get_num_threads(), logging.root.manager.disable
    if threads:
        torch.set_num_threads(threads)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)
        torch.set_num_threads(before)
        torch.set_default_device(None)


def cuda_fault() -> str | None:
    """Why PyTorch can't use a GPU; None if it can."""
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA"
    return None if torch.cuda.is_available() else "no GPU that PyTorch can use is found"
