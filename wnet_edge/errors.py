"""Exceptions for errors that a user can cause or fix.

Each message says what is wrong with what; the command line turns any of them into one line on
stderr and exit code 1, in exactly one place (`wnet_edge.cli.main`).
"""


def not_installed(what: str, error: ModuleNotFoundError, extra: str) -> str:
    """What to say where `what` needs a module that only an extra of the install includes."""
    return (
        f"{what} needs {error.name}, which the edge install does not include: "
        f"pip install 'wnet-edge[{extra}]'"
    )


class WNetEdgeError(Exception):
    """Base class of all errors whose message is written for the user."""


class ScanError(WNetEdgeError):
    """A scan file is missing, unreadable, incomplete or not a far-field ptychographic scan."""


class PackageError(WNetEdgeError):
    """A package file is missing, damaged, of an unknown schema or does not fit the scan."""


class OtherInstrumentError(PackageError):
    """A package was made for another instrument than a scan's.

    Args:
        scan: file of the scan.
        fault: what does not fit, for the user.
        command: that makes a package for the scan.
    """

    def __init__(self, scan: object, fault: str, command: str = "wnet-edge adapt SCAN") -> None:
        self.scan, self.fault = scan, fault
        super().__init__(f"{scan}: {fault}; make a package for this instrument: {command}")


class SignatureError(PackageError):
    """A key can't be read, or a package lacks the required signature."""


class ProviderError(WNetEdgeError):
    """A requested ONNX Runtime execution provider is not available."""


class ResultError(WNetEdgeError):
    """A result, reference or other image can't be read, written or compared."""


class OverlapError(ResultError):
    """Two images have too little in common to be compared."""


class OptionError(WNetEdgeError):
    """Options contradict each other, or one is missing that another needs."""


class SimulationError(WNetEdgeError):
    """The parameters of a simulation describe no possible experiment."""


class TrainingError(WNetEdgeError):
    """Training can't start, or failed in a way that only other options fix."""


class CheckpointError(WNetEdgeError):
    """A checkpoint is missing, damaged or of another network or training run."""


class CalibrationError(WNetEdgeError):
    """Frames or ranges for INT8 calibration are of the wrong kind or damaged."""


class ExportError(WNetEdgeError):
    """An exported graph does not compute what the trained network computes."""


class PeerError(WNetEdgeError):
    """A runtime to benchmark against ONNX Runtime is unavailable or gives other results."""
