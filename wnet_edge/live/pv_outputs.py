"""The growing image as PVs, for any EPICS display: EPICS PV Access, NTNDArray and NTScalar."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from p4p import Value
from p4p.nt import NTNDArray, NTScalar
from p4p.server import Server
from p4p.server.thread import SharedPV

from wnet_edge.live.ndarray import ndarray_fields
from wnet_edge.live.snapshot import Snapshot

_IMAGES: dict[str, Callable[[Snapshot], NDArray[np.float32]]] = {
    "Phase": lambda snapshot: snapshot.phase,
    "Amplitude": lambda snapshot: snapshot.amplitude,
    "Coverage": lambda snapshot: snapshot.coverage,
}
_STATUS: dict[str, tuple[str, str, str, Callable[[Snapshot], float | str]]] = {
    "Scan": ("s", "", "Name of the scan", lambda s: s.scan),
    "State": ("s", "", "'running', or why the scan has ended", lambda s: s.ended or "running"),
    "Received": ("l", "frames", "Frames received", lambda s: s.received),
    "Processed": ("l", "frames", "Frames in the image", lambda s: s.processed),
    "Lost": ("l", "frames", "Frames lost, for whatever reason", lambda s: sum(s.lost.values())),
    "QueueDepth": ("l", "frames", "Frames that wait", lambda s: s.queue_depth),
    "Rate": ("d", "Hz", "Frames processed per second", lambda s: s.frames_per_second),
    "LatencyP50": ("d", "s", "Median time from frame to image", lambda s: s.latency_p50_s),
    "LatencyP99": (
        "d",
        "s",
        "99th percentile of the time from frame to image",
        lambda s: s.latency_p99_s,
    ),
    "RFactor": (
        "d",
        "",
        "R-factor of the image with its frames; NaN until known",
        lambda s: float("nan") if s.r_factor is None else s.r_factor,
    ),
    "Package": ("s", "", "Package with the network", lambda s: s.package),
    "Precision": ("s", "", "Precision of its graph", lambda s: s.precision),
}
"""By name: p4p's type code, unit, description, value."""
_EMPTY: dict[str, float | str] = {"s": "", "l": 0, "d": float("nan")}


class PvOutputs:
    """Serves the image and the state of a running scan as PVs.

    Args:
        prefix: of their names, as in `PREFIX:Phase`.
        conf: EPICS settings; None: the environment's (`EPICS_PVAS_INTF_ADDR_LIST` and others).
    """

    def __init__(self, prefix: str, conf: Mapping[str, str] | None = None) -> None:
        self._number = 0
        self._image_type = NTNDArray.buildType()
        self._images = {name: SharedPV(initial=Value(self._image_type, {})) for name in _IMAGES}
        self._status = {name: _status_pv(name) for name in _STATUS}
        pvs = {f"{prefix}:{name}": pv for name, pv in {**self._images, **self._status}.items()}
        self.names = sorted(pvs)
        self._server = Server(providers=[pvs], conf=conf, useenv=conf is None)

    @property
    def conf(self) -> dict[str, str]:
        """EPICS settings with which a client finds this server."""
        return dict(self._server.conf())

    def show(self, snapshot: Snapshot) -> None:
        """Update all PVs; those of the image bear one `uniqueId` and time stamp."""
        now_s = time.time()
        self._number += 1
        attributes: dict[str, float | int | str] = {
            "Scan": snapshot.scan,
            "PixelSize_m": float(snapshot.pixel_size_m),
            "OriginRow_px": int(snapshot.origin_px[0]),
            "OriginColumn_px": int(snapshot.origin_px[1]),
        }
        for name, image in _IMAGES.items():
            fields = ndarray_fields(image(snapshot), self._number, now_s, attributes)
            self._images[name].post(Value(self._image_type, fields))
        for name, (_, _, _, value) in _STATUS.items():
            self._status[name].post(value(snapshot), timestamp=now_s)

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()


def _status_pv(name: str) -> Any:  # noqa: ANN401 - p4p has no types
    code, unit, description, _ = _STATUS[name]
    display = {"units": unit, "description": description}
    return SharedPV(
        nt=NTScalar(code, display=True), initial={"value": _EMPTY[code], "display": display}
    )
