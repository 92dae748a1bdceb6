"""Single-shot ptychography at the edge: from diffraction frames to an image of the object."""

import os

# Before ONNX Runtime is loaded: its wheels carry telemetry to Microsoft, which begins by leaving a
# file `.ses` in the temporary folder. Who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
