"""Makes the embedded example scan and the cropped reference object from scan 247 as published.

    python benchmarks/make_data.py cnm26id_scan247.cxi cnm26id_scan247_reference.npz

The example is the scan with its detector binned 2 × 2; the reference is the part of the ePIE object
that the scan covers, with the probe and the window corners moved along.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wnet_edge.io.scan_file import open_scan
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.scan.counts import network_counts
from wnet_edge.scan.scan import Scan

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"
BINNING = 2
NOTE = (
    "Etched tungsten test pattern, hard X-ray nanoprobe 26-ID of APS/CNM. Frames and positions: "
    "from the tests of tike 0.26.0 (source distribution on PyPI, BSD-3-Clause, UChicago Argonne), "
    "detector binned 2 x 2 around zero frequency, bins with dead pixels scaled by the share left. "
    "Energy, distance and detector pixel: inferred; they give an object pixel of 15.85 nm. "
    "Illumination: 3 incoherent modes of a 60-iteration ePIE of this scan."
)


def write_example(scan: Scan) -> None:
    """Frames binned, probe and positions as they are."""
    header = CxiHeader(
        geometry=scan.known_geometry,
        positions_m=scan.positions_m,
        frame_px=scan.frame_px // BINNING,
        frame_dtype=np.uint32,
        mask=network_counts(np.zeros((1, *scan.mask.shape), np.float32), scan.mask, BINNING)[0, 0]
        < 0,
        probe=scan.probe,
        binning=BINNING,
        title="etched tungsten test pattern, APS/CNM 26-ID, scan 247, binned 2 x 2",
        note=NOTE,
    )

    def batches() -> Iterator[LabelledFrames]:
        for frames in scan.batches(64):
            counts = network_counts(frames, scan.mask, BINNING)[:, 0]
            yield LabelledFrames(np.rint(np.maximum(counts, 0)).astype(np.uint32))

    write_cxi(EXAMPLE, header, batches(), force=True)


def write_reference(source: Path) -> None:
    """The object inside the windows' bounding box; corners counted from its top left."""
    with np.load(source, allow_pickle=False) as full:
        corners, size = full["window_top_left_px"], full["probe"].shape[-1]
        low, high = corners.min(axis=0), corners.max(axis=0) + size
        np.savez_compressed(
            REFERENCE,
            object=full["object"][low[0] : high[0], low[1] : high[1]],
            probe=full["probe"],
            window_top_left_px=corners - low,
            object_pixel_m=full["object_pixel_m"],
        )


if __name__ == "__main__":
    write_example(open_scan(Path(sys.argv[1])))
    write_reference(Path(sys.argv[2]))
