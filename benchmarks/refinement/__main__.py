"""What passes of refinement give and cost, in Markdown tables.

    python -m benchmarks.refinement passes [SCAN]
    python -m benchmarks.refinement truth
    python -m benchmarks.refinement probe
    python -m benchmarks.refinement positions [SCAN NOMINAL.csv]

`passes`: `wnet-edge infer` of the scan (the embedded one by default), cold, with 0 to 20 passes.
`truth`: simulated scans of objects that no training has drawn, 1e5 to 1e8 photons: the error to the
true object. `probe`: the star under a probe that is not the package's, held and refined.
`positions`: the same, and SCAN, with positions that are off, before and after --refine-positions.
Errors are relative to the object's contrast, after a common complex factor, where the image is well
covered.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import head, show
from benchmarks.refinement.unseen import OBJECTS, error, unseen_scan
from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.io.probe_file import find_probe
from wnet_edge.physics.probe import defocus

_PROGRAM = Path(sys.executable).with_name("wnet-edge")
_PASSES = ("0", "1", "3", "5", "10", "20", "auto")
_PHOTONS = dict(zip(OBJECTS, (1e5, 1e6, 1e7, 1e8, 3e5), strict=True))
_ERRORS_PX = (5, 15, 40)
_DRIFT = "drifting"


def run(scan: Path, output: Path, *options: str) -> dict[str, object]:
    """What `infer --json` says of a scan."""
    call = [_PROGRAM, "infer", scan, *options, "-o", output, "--no-image", "--force", "--json"]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    values: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return values


def refined(passes: str) -> tuple[str, ...]:
    """Options for so many passes."""
    return () if passes == "0" else ("--refine", passes)


def error_of(result: Path, scan: Path) -> float:
    """Of a result whose positions are the scan's own."""
    with h5py.File(result) as file:
        data, positions = file["entry/reconstruction"], file["entry/sample/positions"]
        first_m = np.array([positions["y"][0], positions["x"][0]])
        origin_px = data.attrs["origin_px"] - first_m / data.attrs["pixel_size_m"]
    with np.load(scan.with_suffix(".npz")) as truth:
        first_px = truth["window_top_left_px"][0]
    return error(result, scan, origin_px + first_px)


def correlation(result: Path, reference: Path) -> float:
    """Phase correlation with a reference, by `wnet-edge compare`."""
    call = [_PROGRAM, "compare", result, reference, "--json"]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["phase_correlation"])


def passes(folder: Path, scan: Path) -> None:
    """Seconds and R-factors."""
    head("passes", "seconds", "R", "R over all frames", "s a pass")
    for count in _PASSES:
        values = run(scan, folder / "out.h5", *refined(count))
        row = [count, f"{values['seconds']:.2f}", f"{values['r_factor']:.4f}"]
        refinement = values["refinement"]
        if isinstance(refinement, dict):
            row.append(f"{refinement['r_factors'][-1]:.4f}")
            row.append(f"{refinement['seconds'] / refinement['passes']:.2f}")
        show(*row)


def truth(folder: Path) -> None:
    """Error to the true object by passes."""
    head("object", "photons", *_PASSES, "auto's passes")
    for kind, photons in _PHOTONS.items():
        scan = unseen_scan(folder, kind, photons, EXAMPLE_SCAN)
        errors, taken = [], 0
        for count in _PASSES:
            values = run(scan, folder / "out.h5", *refined(count))
            errors.append(f"{error_of(folder / 'out.h5', scan):.3f}")
            refinement = values["refinement"]
            taken = refinement["passes"] if isinstance(refinement, dict) else 0
        show(kind, f"{photons:.0e}", *errors, taken)


def probe(folder: Path) -> None:
    """Error to the true object with the package's probe held, and refined."""
    known = find_probe(str(EXAMPLE_SCAN))
    modes, optics = known.modes, known.geometry
    size_m = optics.object_pixel_size_m(modes.shape[-1])

    def moved(distance_m: float) -> NDArray[np.complex64]:
        return defocus(
            modes, distance_m=distance_m, wavelength_m=optics.wavelength_m, pixel_size_m=size_m
        )

    lights = {f"{um} µm out of focus": moved(um * 1e-6) for um in (0, 5, 10, 20)}
    lights["its first mode only"] = modes[:1]
    head("probe", "0 passes", "20, held", "20, refined", "R held", "R refined")
    for name, light in lights.items():
        scan = unseen_scan(folder, "star", 1e7, EXAMPLE_SCAN, light)
        errors, r_factors = [], []
        for options in ((), refined("20"), (*refined("20"), "--refine-probe")):
            values = run(scan, folder / "out.h5", *options)
            errors.append(f"{error_of(folder / 'out.h5', scan):.3f}")
            r_factors.append(f"{values['r_factor']:.4f}")
        show(name, *errors, *r_factors[1:])


def positions(folder: Path, measured: tuple[Path, Path] | None) -> None:
    """Positions before and after, R and correlation before and after."""
    head(
        "scan",
        "error",
        "RMS before, px",
        "after",
        "after, but for scale, rotation, shear",
        "R before",
        "R after",
        "correlation",
        "seconds",
    )
    if measured is not None:
        scan, nominal = measured
        reference = scan.with_name("cnm26id_scan247_reference.npz")
        off_m = np.loadtxt(nominal, delimiter=",", skiprows=1)
        _positions_row(folder, scan, reference, "nominal", off_m, "each")
        _positions_row(folder, scan, reference, "none", _positions_m(scan), "each")
    for kind in ("star", "grains", "cells"):
        scan = unseen_scan(folder, kind, 1e7, EXAMPLE_SCAN)
        true_m = _positions_m(scan)
        for name in ("random", _DRIFT):
            for rms_px in _ERRORS_PX:
                size_m = rms_px * 15.85e-9
                off_m = true_m + size_m * _errors(name, len(true_m))
                correction = "affine" if name == _DRIFT else "each"
                told = f"{name}, {rms_px} px"
                _positions_row(folder, scan, scan.with_suffix(".npz"), told, off_m, correction)


def _positions_row(
    folder: Path,
    scan: Path,
    reference: Path,
    told: str,
    off_m: NDArray[np.float64],
    correction: str,
) -> None:
    """Positions (N, 2) x, y in metres that are off, taken to `infer`, and what comes back."""
    table, result = folder / "off.csv", folder / "out.h5"
    np.savetxt(table, off_m, delimiter=",", header="x_m,y_m", comments="")
    given = ("--positions", str(table))
    before = run(scan, result, *given)
    options = (*given, "--refine-positions", correction, "--refine", "10")
    after = run(scan, result, *options)
    true_m = _positions_m(scan)
    if "error" in after:
        show(scan.stem, told, f"{_rms_px(off_m, true_m):.2f}", after["error"], *[""] * 5)
        return
    with h5py.File(result) as file:
        found = file["entry/sample/positions"]
        found_m = np.stack([found["x"][()], found["y"][()]], axis=1)
    taken_s = after["position_correction"]["seconds"] + after["seconds"]
    show(
        scan.stem,
        told,
        f"{_rms_px(off_m, true_m):.2f}",
        f"{_rms_px(found_m, true_m):.2f}",
        f"{_rms_px(found_m, true_m, affine=True):.2f}",
        f"{before['r_factor']:.4f}",
        f"{after['r_factor']:.4f}{'' if after['trusted'] else ', not trusted'}",
        f"{correlation(result, reference):.3f}",
        f"{taken_s:.1f}",
    )


def _positions_m(scan: Path) -> NDArray[np.float64]:
    """(N, 2) x, y."""
    with h5py.File(scan) as file:
        found: NDArray[np.float64] = file["entry_1/sample_1/geometry_1/translation"][:, :2]
    return found


def _errors(kind: str, count: int) -> NDArray[np.float64]:
    """(N, 2) of RMS 1: of each frame by itself, or a walk."""
    steps = np.random.default_rng(3).standard_normal((count, 2))
    errors = np.cumsum(steps, axis=0) if kind == _DRIFT else steps
    errors -= errors.mean(axis=0)
    scaled: NDArray[np.float64] = errors / np.sqrt(np.mean(np.sum(errors**2, axis=1)))
    return scaled


def _rms_px(
    found_m: NDArray[np.float64], true_m: NDArray[np.float64], *, affine: bool = False
) -> float:
    """Root mean square after the mean shift, or after the best affine map."""
    off_m = found_m - true_m
    off_m = off_m - off_m.mean(axis=0)
    if affine:
        about_m = true_m - true_m.mean(axis=0)
        off_m = off_m - about_m @ np.linalg.lstsq(about_m, off_m, rcond=None)[0]
    return float(np.sqrt(np.mean(np.sum(off_m**2, axis=1))) / 15.85e-9)


def main() -> None:
    """The table that is asked for."""
    table, *files = sys.argv[1:] or ["passes"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        if table == "passes":
            passes(folder, Path(files[0]) if files else EXAMPLE_SCAN)
        elif table == "positions":
            positions(folder, (Path(files[0]), Path(files[1])) if files else None)
        else:
            {"truth": truth, "probe": probe}[table](folder)


if __name__ == "__main__":
    main()
