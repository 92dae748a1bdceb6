"""The runner: a package and a scan in, patches and an image out (numpy and ONNX Runtime only)."""
