"""Input and output buffers in device memory (ONNX Runtime's I/O binding), for GPU providers.

Allocated once per batch size, so that a run only copies counts to the device and patches back.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.package.golden import Patches


class DeviceBuffers:
    """Device buffers for the input and outputs of one graph at one batch size.

    Args:
        session: session of a graph from `counts` to `amplitude` and `phase`.
        shape: (B, 1, H, W) of all three.
        device: ONNX Runtime's name of the memory, "cuda" or "cpu".
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
        """Run counts (B, 1, H, W) float32; returns amplitude and phase in rad as new arrays.

        Raises:
            ValueError: for another shape than the buffers'.
            Exception: any error of ONNX Runtime.
        """
        if counts.shape != self.shape:
            raise ValueError(f"counts are {counts.shape}, the buffers {self.shape}")
        self._counts.update_inplace(np.ascontiguousarray(counts))
        self._session.run_with_iobinding(self._binding, options)
        # On the CPU an OrtValue's array is the buffer itself, which the next run overwrites.
        return np.array(self._amplitude.numpy()), np.array(self._phase.numpy())
