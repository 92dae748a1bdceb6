"""The runner: a package and a scan in, patches and an image out (numpy and ONNX Runtime only)."""

import os

# Before ONNX Runtime is loaded: its wheels carry telemetry to Microsoft, which begins by leaving a
# file `.ses` in the temporary folder. Who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
