"""`wnet_edge.export`: a network to a package from Python, as `wnet-edge export` does it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from wnet_edge.calibration.ranges import RangeMethod
from wnet_edge.choices import chosen
from wnet_edge.embedded import opened_package, path_of
from wnet_edge.export.export_network import (
    REPOSITORY,
    Calibration,
    ExportJob,
    Target,
    Watch,
    run_export,
)
from wnet_edge.export.export_package import Exported
from wnet_edge.export.options import chosen_options
from wnet_edge.framing.for_network import Turns
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.models.registry import ModelName
from wnet_edge.package.manifest import CalibrationSource, Precision
from wnet_edge.package.signature import read_private_key
from wnet_edge.physics.orientation import Orientation

File = str | os.PathLike[str]


class NamedScan(Protocol):
    """What `wnet_edge.read_scan` gives."""

    @property
    def source(self) -> Path | NDArray[Any]:
        """Its file, or its frames in memory."""
        ...

    @property
    def options(self) -> ReadOptions:
        """What replaced what the file says."""
        ...


def export(
    model: str | None = None,
    *,
    checkpoint: File | None = None,
    package: File | None = None,
    trust: File | None = None,
    target: str = Target.PACKAGE.value,
    output: File | None = None,
    precisions: Sequence[str] = (),
    calibration: NamedScan | File | None = None,
    reference: File | None = None,
    calibration_source: str | None = None,
    calibrators: Sequence[str] = (),
    ranges: File | None = None,
    max_ssim_drop: float | None = None,
    max_psnr_drop_db: float | None = None,
    opset: int | None = None,
    batch_size: int | None = None,
    allow_untrained: bool = False,
    sign: File | None = None,
    report: File | None = None,
    orientation: str = Orientation.IDENTITY.value,
    position_orientation: str = Orientation.IDENTITY.value,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Export a network to a verified package; needs `wnet-edge[train]`.

    A precision that loses more accuracy than the budget allows is left out, or an error if it was
    named.

    Args:
        model: name of a network whose trained weights ship with wnet-edge: "w1", "w2", "w3".
        checkpoint: weights of `wnet_edge.train` instead.
        package: package that exists already instead, for the targets "ort" and "triton".
        trust: public key (PEM) that must have signed `package`.
        target: "package": a file for any device; "ort": also one compiled for this device;
            "triton": a model repository for NVIDIA Triton.
        output: package file, or folder for "triton"; None: named after the network.
        precisions: "fp32", "fp16", "int8" …; empty: those of them within the budget.
        calibration: measured scan of the same instrument, not trained on, from
            `wnet_edge.read_scan` or a file; None: the embedded example, or frames simulated for the
            network's own probe if `calibration_source` is "simulated".
        reference: reconstruction of that scan to measure accuracy against; None: FP32's patches.
        calibration_source: what its frames are; any but "measured" must be named.
        calibrators: methods to find INT8's ranges; empty: all but entropy.
        ranges: file that keeps the ranges, used again if it exists.
        max_ssim_drop: largest SSIM loss relative to FP32; None: the default budget.
        max_psnr_drop_db: largest PSNR loss in dB, likewise.
        opset: ONNX operator set of the graphs; None: the default.
        batch_size: frames that a graph takes; None: any number.
        allow_untrained: package a network that hardly explains its own instrument's scan.
        sign: Ed25519 key (PEM) to sign the package with.
        report: JSON file for all that was tried.
        orientation: what is done to a frame of the scan first: "identity", "rot90" ….
        position_orientation: what is done to its positions' axes, likewise.
        force: replace existing files.
        progress: tell each step and warning on stderr.

    Returns:
        The package, the compiled one, or the repository's folder.

    Raises:
        OptionError: if arguments contradict each other, or one has no such choice.
        WNetEdgeError: as `wnet_edge.export.export_network.run_export`.
    """
    turns = Turns(
        chosen(Orientation, orientation, "orientation"),
        chosen(Orientation, position_orientation, "position_orientation"),
    )
    kind = CalibrationSource.MEASURED.value if calibration_source is None else calibration_source
    job = ExportJob(
        model=None if model is None else chosen(ModelName, model, "model").value,
        checkpoint=_path_or_none(checkpoint),
        package=None if package is None else opened_package(package, _path_or_none(trust)),
        target=chosen(Target, target, "target"),
        output=_path_or_none(output),
        options=chosen_options(
            precisions=tuple(chosen(Precision, one, "precisions") for one in precisions),
            calibrators=tuple(chosen(RangeMethod, one, "calibrators") for one in calibrators),
            max_ssim_drop=max_ssim_drop,
            max_psnr_drop_db=max_psnr_drop_db,
            opset=opset,
            batch_size=batch_size,
            key=None if sign is None else read_private_key(path_of(sign)),
            ranges=_path_or_none(ranges),
            allow_untrained=allow_untrained,
        ),
        calibration=Calibration(
            *_scan(calibration),
            _path_or_none(reference),
            chosen(CalibrationSource, kind, "calibration_source"),
            turns,
        ),
        report=_path_or_none(report),
        force=force,
    )

    def tell(line: str) -> None:
        if progress:
            sys.stderr.write(f"{line}\n")

    def exported(made: Exported) -> None:
        for warning in made.warnings:
            tell(f"Warning: {warning}")

    outputs = run_export(job, Watch(tell, exported))
    for written in (outputs.compiled, outputs.package):
        if written is not None:
            return written.path
    return job.output or REPOSITORY


def _scan(
    calibration: NamedScan | File | None,
) -> tuple[Path | NDArray[Any] | None, ReadOptions]:
    """Where the scan is, and what replaces what its file says."""
    if calibration is None or isinstance(calibration, (str, os.PathLike)):
        return _path_or_none(calibration), ReadOptions()
    return calibration.source, calibration.options


def _path_or_none(file: File | None) -> Path | None:
    return None if file is None else path_of(file)
