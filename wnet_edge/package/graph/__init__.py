"""Static checks of a package's ONNX graphs without the onnx library: operators, memory, work."""
