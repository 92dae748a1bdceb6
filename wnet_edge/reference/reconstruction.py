"""Epochs of an engine, from a scene to an object, with its error on the way and at the end."""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from time import perf_counter

import numpy as np

from wnet_edge.errors import OptionError, WNetEdgeError
from wnet_edge.reference.frame_errors import misfit_of, some_frames
from wnet_edge.reference.options import DeviceName, Engine, ReferenceOptions
from wnet_edge.reference.outcome import Epoch, Reconstruction
from wnet_edge.reference.ptychi_task import Task, cuda_fault
from wnet_edge.reference.scene import Scene
from wnet_edge.runner.graph.device import usable_cores

Watch = Callable[[Epoch, Scene], None]


def reconstruct(
    scene: Scene, options: ReferenceOptions, watch: Watch | None = None
) -> Reconstruction:
    """Run the engine; Ctrl-C ends it with the last whole epoch.

    Args:
        scene: what it begins with.
        options: how to reconstruct.
        watch: called after each epoch, with the scene as it is then.

    Raises:
        WNetEdgeError: if the engine diverges.
        OptionError: if the device can't be used.
        KeyboardInterrupt: in the first epoch.
    """
    device = usable_device(options.device)
    held, threads = not options.refine_probe, options.threads or usable_cores()
    every = np.arange(len(scene.counts))
    some = some_frames(len(scene.counts))
    epochs: list[Epoch] = []
    stopped = "as many as asked for"
    with Task(scene, options, device) as task:
        now = _state(scene, task, options)
        r_start = misfit_of(now, some, threads, held=held).r_factor
        try:
            for number in range(1, options.epochs + 1):
                began = perf_counter()
                error = task.run_epoch()
                seconds = perf_counter() - began
                state = _state(scene, task, options)
                _check(state, options.engine, number)
                r_factor = misfit_of(state, some, threads, held=held).r_factor
                now, epochs = state, [*epochs, Epoch(number, error, r_factor, seconds)]
                if watch is not None:
                    watch(epochs[-1], now)
        except KeyboardInterrupt:
            if not epochs:
                raise
            stopped = f"interrupted in epoch {len(epochs) + 1} of {options.epochs}"
    misfit = misfit_of(now, every, threads, held=held)
    moved_px = now.corner_px - scene.corner_px
    moved_px = moved_px - moved_px.mean(axis=0)
    return Reconstruction(
        scene=now,
        options=options,
        epochs=tuple(epochs),
        r_factor=misfit.r_factor,
        r_noise=misfit.r_noise,
        r_start=r_start,
        stopped=stopped,
        device=device,
        moved_px=float(np.sqrt(np.mean(np.sum(moved_px**2, axis=1)))),
        versions={name: version(name) for name in ("ptychi", "torch")},
    )


def usable_device(wanted: DeviceName) -> str:
    """Name of the device that PyTorch is to use: cpu or cuda.

    Raises:
        OptionError: if a GPU was asked for and can't be used, with the reason.
    """
    if wanted is DeviceName.CPU:
        return "cpu"
    fault = cuda_fault()
    if fault is None:
        return "cuda"
    if wanted is DeviceName.CUDA:
        raise OptionError(f"--device cuda: {fault}; give --device cpu")
    return "cpu"


def _state(scene: Scene, task: Task, options: ReferenceOptions) -> Scene:
    """The scene with what the engine has made of it."""
    now = replace(scene, object=task.object)
    if options.refine_probe:
        now = replace(now, probe=task.probe)
    if options.refine_positions:
        corner_px = task.windows_px - scene.window_start_px + scene.origin_px
        now = replace(now, corner_px=corner_px)
    return now


def _check(scene: Scene, engine: Engine, number: int) -> None:
    """See that an epoch has left something.

    Raises:
        WNetEdgeError: if object or probe are no longer finite, or positions have left the scan.
    """
    corner_px = scene.corner_px - scene.origin_px
    most_px = np.subtract(scene.object.shape, scene.full_window_px + 1)
    if not ((corner_px >= 0) & (corner_px <= most_px)).all():
        raise WNetEdgeError(
            f"{engine.value} moved positions out of the scan in epoch {number}; hold them, or "
            "begin with better ones (infer --refine-positions)"
        )
    if not (np.isfinite(scene.object).all() and np.isfinite(scene.probe).all()):
        raise WNetEdgeError(
            f"{engine.value} diverged in epoch {number}: the object is no longer finite; give a "
            "smaller --batch-size, another --engine, or hold probe and positions"
        )
