"""Positions of all frames that agree best with the displacements of their patches.

Σ ρ(x_j − x_i − d_ij) over neighbouring frames i, j, with a robust ρ (Geman–McClure's, by
iteratively reweighted least squares: Holland & Welsch, Commun. Stat. 6, 813, 1977), so that the few
displacements that chance has made do not count.
"""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_MOST_NEIGHBOURS = 12
"""Of a frame, whose displacements are taken."""

_ROUNDS = 20
_LEAST_SCALE_PX = 0.5
"""A displacement is good to a fraction of a pixel at best."""

_FIRM = 1e-6
"""Pull to where a frame was, which decides what displacements leave open."""


def neighbours(positions_px: NDArray[np.float64], reach_px: float) -> NDArray[np.int64]:
    """Pairs (K, 2) of frames nearer than `reach_px`, up to `_MOST_NEIGHBOURS` of each, i < j.

    Of more neighbours some near, some far ones are taken.
    """
    tree = cKDTree(positions_px)
    pairs: set[tuple[int, int]] = set()
    for frame, near in enumerate(tree.query_ball_point(positions_px, reach_px)):
        others = np.array([other for other in near if other != frame], np.int64)
        far = np.hypot(*(positions_px[others] - positions_px[frame]).T)
        order = others[np.argsort(far, kind="stable")]
        taken = np.linspace(0, len(order) - 1, min(len(order), _MOST_NEIGHBOURS)).astype(np.int64)
        pairs.update((min(frame, other), max(frame, other)) for other in order[taken].tolist())
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def solved(
    positions_px: NDArray[np.float64],
    pairs: NDArray[np.int64],
    shift_px: NDArray[np.float64],
    firmness: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (N, 2) that agree best with the displacements, and what each is off by (K,), px.

    Args:
        positions_px: (N, 2) nominal ones, whose mean is kept.
        pairs: (K, 2) frames.
        shift_px: (K, 2) displacement of each pair.
        firmness: (K, 2, 2) how much it is worth in each direction.
    """
    count, known = len(positions_px), len(pairs)
    ends = scipy.sparse.kron(_differences(pairs, count), scipy.sparse.identity(2), "csr")
    wanted = shift_px.ravel() - ends @ positions_px.ravel()
    firmest = np.linalg.eigvalsh(firmness)[:, -1]
    worth = np.ones(known)
    correction = np.zeros(2 * count)
    off_px = np.zeros(known)
    rows = np.arange(2 * known).reshape(known, 2)
    for _ in range(_ROUNDS):
        weight = scipy.sparse.csr_matrix(
            (
                (worth[:, None, None] * firmness).ravel(),
                (np.repeat(rows, 2, axis=1).ravel(), np.tile(rows, 2).ravel()),
            )
        )
        normal = ends.T @ weight @ ends + _FIRM * scipy.sparse.identity(2 * count)
        correction = scipy.sparse.linalg.spsolve(normal.tocsc(), ends.T @ (weight @ wanted))
        off = (ends @ correction - wanted).reshape(known, 2)
        # Sliding along a line counts for nothing.
        squared = np.einsum("ki,kij,kj->k", off, firmness, off) / np.maximum(firmest, _FIRM)
        off_px = np.sqrt(np.maximum(squared, 0))
        scale_px = max(_LEAST_SCALE_PX, 1.5 * float(np.median(off_px)))
        worth = 1 / (1 + (off_px / scale_px) ** 2) ** 2
    corrected = correction.reshape(count, 2)
    return positions_px + corrected - corrected.mean(axis=0), off_px


def _differences(pairs: NDArray[np.int64], count: int) -> scipy.sparse.csr_matrix:
    """(K, N) matrix that takes values of frames to the second's minus the first's, per pair."""
    known = len(pairs)
    row = np.tile(np.arange(known), 2)
    values = np.repeat([-1.0, 1.0], known)
    return scipy.sparse.csr_matrix((values, (row, pairs.T.ravel())), shape=(known, count))
