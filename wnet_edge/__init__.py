"""Single-shot ptychography at the edge: from diffraction frames to an image of the object."""

import os

# Set before ONNX Runtime is loaded: its wheels send telemetry to Microsoft, which starts by writing
# a file `.ses` to the temporary folder. To enable it, set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
