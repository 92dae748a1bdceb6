"""Counts and patches in the device's own memory, for a provider that is not the processor.

Allocated once for a batch size, so that a run copies counts there and patches back, and does
nothing else: what ONNX Runtime calls I/O binding.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.package.golden import Patches


class DeviceBuffers:
    """Input and outputs of one graph, for one batch size, on one device.

    Args:
        session: of a graph from `counts` to `amplitude` and `phase`.
        shape: (B, 1, H, W) of all three.
        device: ONNX Runtime's name of the memory: "cuda", or "cpu".
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, shape: Sequence[int], device: str
    ) -> None:
        self.shape = tuple(shape)
        self._session = session
        self._counts, self._amplitude, self._phase = (
            onnxruntime.OrtValue.ortvalue_from_shape_and_type(self.shape, np.float32, device, 0)
            for _ in range(3)
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input("counts", self._counts)
        self._binding.bind_ortvalue_output("amplitude", self._amplitude)
        self._binding.bind_ortvalue_output("phase", self._phase)

    def run(
        self, counts: NDArray[np.float32], options: onnxruntime.RunOptions | None = None
    ) -> Patches:
        """Amplitude and phase in rad of counts of the buffers' shape; arrays of the caller's own.

        Raises:
            ValueError: for another shape.
            Exception: whatever ONNX Runtime raises.
        """
        if counts.shape != self.shape:
            raise ValueError(f"counts are {counts.shape}, the buffers {self.shape}")
        self._counts.update_inplace(np.ascontiguousarray(counts))
        self._session.run_with_iobinding(self._binding, options)
        # On the processor an OrtValue's array is the buffer itself, which the next run overwrites.
        return np.array(self._amplitude.numpy()), np.array(self._phase.numpy())
