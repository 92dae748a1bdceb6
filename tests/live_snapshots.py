"""Looks at a running scan, by hand: an image with known values, from frames at known places."""

import numpy as np

from wnet_edge.live.snapshot import LastFrame, Snapshot
from wnet_edge.live.source import Loss

PIXEL_M = 20e-9
WINDOW_PX = 32
STEP_PX = 8
COLUMNS = 8


def snapshot(frames, *, first_row_px=0, size_px=(96, 96), **values):
    """A look after `frames` frames, row by row; the image begins at `first_row_px`.

    Amplitude is 0.5 plus a thousandth of the row on the object, phase a hundredth of the column.
    """
    rows, columns = np.divmod(np.arange(frames), COLUMNS)
    windows_px = STEP_PX * np.stack([rows, columns], axis=1).astype(float)
    y, x = np.mgrid[: size_px[0] - first_row_px, : size_px[1]].astype(np.float32)
    seen = (y + first_row_px < size_px[0] / 2) | (frames > COLUMNS)
    counts = np.full((16, 16), float(frames), np.float32)
    given = {
        "scan": "scan_12",
        "image": np.where(seen, (0.5 + (y + first_row_px) / 1000) * np.exp(1j * x / 100), 0),
        "coverage": seen.astype(np.float32),
        "pixel_size_m": PIXEL_M,
        "origin_px": (first_row_px, 0),
        "windows_px": windows_px - (first_row_px, 0),
        "window_px": WINDOW_PX,
        "frame_numbers": np.arange(frames) + 100,
        "kept": {place: np.full((16, 16), place + 1.0, np.float32) for place in (0, frames - 1)},
        "received": frames + 3,
        "processed": frames,
        "lost": {Loss.DUPLICATE: 1, Loss.WITHOUT_POSITION: 2},
        "expected": 64,
        "queue_depth": 5,
        "frames_per_second": 512.0,
        "latency_p50_s": 0.0085,
        "latency_p99_s": 0.041,
        "r_factor": 0.0917,
        "trusted": True,
        "verdict": "R-factor 0.092: trusted",
        "warnings": ("the <b>probe</b> differs",),
        "package": "w3",
        "precision": "fp32",
        "provider": "cpu",
        "last": LastFrame(frames + 99, counts, np.zeros((16, 16), np.float32)),
    }
    return Snapshot(**{**given, **values})
