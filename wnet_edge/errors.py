"""The errors a user can cause or cure.

Each says what is wrong with what; the command line turns any of them into one line on stderr and
exit code 1, in exactly one place (`wnet_edge.cli.main`).
"""


class WNetEdgeError(Exception):
    """Base of every error whose message is written for the user."""


class ScanError(WNetEdgeError):
    """A scan file is missing, unreadable, incomplete or not a far-field ptychographic scan."""


class PackageError(WNetEdgeError):
    """A package file is missing, damaged, of an unknown schema or does not fit the scan."""


class SignatureError(PackageError):
    """A key can't be read, or a package does not bear the signature that was asked for."""


class ProviderError(WNetEdgeError):
    """An ONNX Runtime execution provider that was asked for can't be had."""


class ResultError(WNetEdgeError):
    """A result, reference or image can't be read, written or compared."""


class SimulationError(WNetEdgeError):
    """A simulation was asked for with parameters that describe no experiment."""


class TrainingError(WNetEdgeError):
    """A training can't start, or went wrong in a way that only other options cure."""


class CheckpointError(WNetEdgeError):
    """A checkpoint is missing, damaged or belongs to another network or training."""


class CalibrationError(WNetEdgeError):
    """Frames or ranges that INT8 is to be calibrated with are of the wrong kind or damaged."""


class ExportError(WNetEdgeError):
    """An exported graph does not do what the trained network does."""


class PeerError(WNetEdgeError):
    """Another runtime, to be timed beside ONNX Runtime, can't be had or computes something else."""
