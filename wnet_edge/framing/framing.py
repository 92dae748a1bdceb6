"""Framing: crops, centres and orients a scan's frames for a package.

survey → window size → beam centre → crop, centre, orient → `Scan`. Each choice is the user's if
given, else the file's or found from the frames, and is recorded.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import OtherInstrumentError, ScanError
from wnet_edge.framing.beam_centre import CONVINCING, BeamCentre, find_beam_centre
from wnet_edge.framing.compatibility import (
    LEAST_INSIDE,
    Window,
    check_far_field,
    check_overlap,
    window_size_px,
)
from wnet_edge.framing.mean_frame import background_level, hidden_share
from wnet_edge.framing.survey import Survey, survey
from wnet_edge.io.found import Found, FoundScan, Unreadable, ZeroFrequency
from wnet_edge.io.parts.complete_scan import (
    SeenFrames,
    complete_scan,
    known_geometry,
    required_frames,
)
from wnet_edge.physics.orientation import Orientation, orient_positions
from wnet_edge.physics.probe import probe_far_field
from wnet_edge.scan.detector_window import DetectorWindow, WindowFrames
from wnet_edge.scan.frame_source import FrameSource
from wnet_edge.scan.scan import Scan

_FAR_FROM_TOLD_PX = 2.0
"""Distance of a stated beam centre from the one found above which a warning is given."""


@dataclass(frozen=True)
class _Centre:
    """Position of zero frequency that is used.

    Attributes:
        px: row, column in the frame.
        source: origin of the value, for messages.
        agreement: correlation of the probe's far field with the mean frame there; None if not
            computed.
        note: warning for the user, or empty.
    """

    px: tuple[int, int]
    source: str
    agreement: float | None = None
    note: str = ""


@dataclass(frozen=True)
class FramedScan:
    """A scan cropped, centred and oriented for a package, and the choices made.

    Attributes:
        scan: cropped, centred, oriented scan.
        window: window on the detector.
        position_orientation: orientation applied to the positions.
        beam_centre_from: origin of the beam centre.
        beam_centre_agreement: correlation of the probe's far field with the mean frame there; None
            if not computed.
        format: format of the scan file.
        energy_ev: photon energy, None if unknown.
        distance_m: sample-to-detector distance, None if unknown.
        hidden: share of the far field of the package's probe on masked pixels.
        background: counts in the darkest pixels, relative to the mean count.
    """

    scan: Scan
    window: DetectorWindow
    position_orientation: Orientation
    beam_centre_from: str
    beam_centre_agreement: float | None
    format: str
    energy_ev: float | None
    distance_m: float | None
    hidden: float
    background: float

    def cropped(self, frames: FrameSource) -> NDArray[np.float32]:
        """Other frames (B, H, W) of the same detector as these are cropped: (B, n, n) counts."""
        own = self.scan.frames
        if not isinstance(own, WindowFrames):
            raise TypeError("the scan's frames are not those of a window")
        counts: NDArray[np.float32] = own.of(frames)[:]
        return counts

    @property
    def choices(self) -> dict[str, str]:
        """All choices by name, for the provenance in the result."""
        row, column = self.window.centre_px
        agreement = self.beam_centre_agreement
        found = {} if agreement is None else {"beam_centre_agreement": f"{agreement:.3f}"}
        return {
            "format": self.format,
            "orientation": self.window.orientation.value,
            "position_orientation": self.position_orientation.value,
            "zero_frequency": "corner" if self.window.from_corner else "centre",
            "beam_centre_px": f"{row}, {column}",
            "beam_centre_from": self.beam_centre_from,
            **found,
            "window_px": str(self.window.size_px),
        }


class Target(Protocol):
    """Window and probe of a package, or of one that is yet to be made."""

    @property
    def manifest(self) -> Window:
        """Window of its network."""
        ...

    @property
    def probe(self) -> NDArray[np.complex64]:
        """Probe that it was trained for, (modes, frame_px, frame_px) complex64."""
        ...


class Framing:
    """Crops, centres and orients a scan for a package, in any orientation, after one survey.

    Args:
        found: content of the scan file, with the user's overrides.
        package: package to frame the scan for.

    Raises:
        ScanError: if the scan is near-field or lacks a part.
        PackageError: if the package is not compatible with the scan.
    """

    def __init__(self, found: FoundScan, package: Target) -> None:
        if found.near_field is not None:
            raise ScanError(f"{found.path}: is near-field ({found.near_field}); give a far field")
        check_far_field(found)
        self._found = found
        self._package = package
        self._size_px = window_size_px(found, package.manifest)
        self._survey: Survey = survey(found)
        self._beams: dict[tuple[Orientation, bool], BeamCentre] = {}
        try:
            self._far_field = probe_far_field(package.probe, self._size_px)
        except ValueError as error:
            raise OtherInstrumentError(found.path, str(error)) from error

    def framed(self, orientation: Orientation, position_orientation: Orientation) -> FramedScan:
        """The scan framed with these orientations of frames and positions.

        Raises:
            ScanError: if a part is missing or makes no sense, or the beam is off the detector.
        """
        window, centre = self._window(orientation)
        frames = required_frames(self._found).value
        mask = window.cut(self._survey.mask, fill=True)
        notes = self._survey.notes + ((centre.note,) if centre.note else ())
        if window.outside_px:
            share = window.outside_px / window.size_px**2
            row, column = centre.px
            notes += (
                f"{100 * share:.1f} % of the window around the beam at row {row}, column {column} "
                "lies beyond the detector's edge and is masked",
            )
        scan = complete_scan(
            self._found,
            SeenFrames(WindowFrames(frames, window, self._survey.no_count_from), mask, notes),
            self._assumed_object_pixel_size_m,
        )
        check_overlap(scan)
        energy, distance = self._found.energy_ev, self._found.distance_m
        positions_m = orient_positions(scan.positions_m, position_orientation)
        return FramedScan(
            scan=replace(scan, positions_m=positions_m),
            window=window,
            position_orientation=position_orientation,
            beam_centre_from=centre.source,
            beam_centre_agreement=centre.agreement,
            format=self._found.format,
            energy_ev=None if energy is None else energy.value,
            distance_m=None if distance is None else distance.value,
            hidden=hidden_share(self._far_field, scan.mask),
            background=background_level(
                window.cut(self._survey.mean, fill=0), self._far_field, scan.mask
            ),
        )

    @property
    def _assumed_object_pixel_size_m(self) -> float | None:
        """The package's object pixel if the scan's own is unknown, else None."""
        if known_geometry(self._found) is not None:
            return None
        return self._package.manifest.object_pixel_size_m

    def _window(self, orientation: Orientation) -> tuple[DetectorWindow, _Centre]:
        """Detector window for this orientation, and the position of zero frequency."""
        shape = required_frames(self._found).value.shape[1:]
        from_corner = self._from_corner(orientation)
        centre = self._beam_centre(orientation, from_corner=from_corner)
        window = DetectorWindow(
            detector_shape=(shape[0], shape[1]),
            size_px=self._size_px,
            centre_px=centre.px,
            from_corner=from_corner,
            orientation=orientation,
        )
        outside = window.outside_px / self._size_px**2
        if outside > 1 - LEAST_INSIDE:
            raise ScanError(
                f"{self._found.path}: the beam is at row {centre.px[0]}, column {centre.px[1]} "
                f"({centre.source}), so {100 * outside:.0f} % of a window of {self._size_px} px "
                f"lie beyond the edge of {shape[0]} × {shape[1]} px; record more of the detector "
                "around the beam, or give --beam-centre ROW,COLUMN"
            )
        return window, centre

    def _from_corner(self, orientation: Orientation) -> bool:
        """Whether zero frequency is at pixel (0, 0): as set by the user, else where the beam is.

        If the beam is not found, as stated by the format, by default the centre.
        """
        told = self._found.zero_frequency
        says_corner = told is not None and told.value is ZeroFrequency.CORNER
        height, width = self._survey.mean.shape
        # Never so in detector frames; square frames may be simulated.
        if height != width or any(_by_flag(p) for p in (told, self._found.beam_centre_px)):
            return says_corner
        as_stored, shifted = (
            self._beam(orientation, shifted=shifted).agreement for shifted in (False, True)
        )
        return shifted > as_stored if max(as_stored, shifted) >= CONVINCING else says_corner

    def _beam(self, orientation: Orientation, *, shifted: bool) -> BeamCentre:
        """Beam centre in the mean frame, or in the shifted one; cached per orientation."""
        key = (orientation, shifted)
        if key not in self._beams:
            mean, mask = self._survey.mean, self._survey.mask
            if shifted:
                mean, mask = np.fft.fftshift(mean), np.fft.fftshift(mask)
            self._beams[key] = find_beam_centre(mean, mask, self._far_field, orientation)
        return self._beams[key]

    def _beam_centre(self, orientation: Orientation, *, from_corner: bool) -> _Centre:
        """Beam centre: the user's, else the one found, else with a note the file's or middle."""
        told = self._found.beam_centre_px
        height, width = self._survey.mean.shape
        middle = (height // 2, width // 2)
        beam = self._beam(orientation, shifted=from_corner)
        if told is not None and _by_flag(told):
            return replace(self._told_centre(told), note=_disagreement(beam, told))
        found = f"found by the package's probe, agreement {beam.agreement:.2f}"
        if from_corner:
            return _Centre(middle, "zero frequency at the corner", beam.agreement)
        if beam.agreement >= CONVINCING:
            return _Centre(beam.centre_px, found, beam.agreement, _disagreement(beam, told))
        centre = _Centre(middle, "middle of the frame")
        if told is not None:
            centre = self._told_centre(told)
        if not self._survey.mean.any():  # frames without counts are reported elsewhere
            return replace(centre, agreement=beam.agreement)
        row, column = centre.px
        note = (
            f"the package's probe does not find the beam (agreement {beam.agreement:.2f}): taken "
            f"at row {row}, column {column} ({centre.source}); give --beam-centre ROW,COLUMN"
        )
        return replace(centre, agreement=beam.agreement, note=note)

    def _told_centre(self, told: Found[tuple[float, float]]) -> _Centre:
        if not np.isfinite(told.value).all():
            raise ScanError(
                f"{self._found.path}: {told.where} is {told.value}, not a pixel; give "
                "--beam-centre ROW,COLUMN"
            )
        return _Centre((round(told.value[0]), round(told.value[1])), told.where)


def _disagreement(beam: BeamCentre, told: Found[tuple[float, float]] | None) -> str:
    """Warning if the beam centre of the file or user differs from the one found, else empty."""
    if told is None or isinstance(told, Unreadable) or beam.agreement < CONVINCING:
        return ""
    if (
        not np.isfinite(told.value).all()
        or np.abs(np.subtract(told.value, beam.centre_px)).max() <= _FAR_FROM_TOLD_PX
    ):
        return ""
    (row, column), (told_row, told_column) = beam.centre_px, told.value
    return (
        f"the beam is found at row {row}, column {column} (agreement {beam.agreement:.2f}), not at "
        f"{told_row:.6g}, {told_column:.6g} as {told.where} says"
        + (", which is taken" if _by_flag(told) else "; --beam-centre ROW,COLUMN overrides both")
    )


def _by_flag(part: Found[Any] | None) -> bool:
    """Whether the user set it, which takes precedence over anything found."""
    return part is not None and part.where.startswith("--")
