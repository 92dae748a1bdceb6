"""ONNX graphs read and judged without ONNX: what a package's graph may do and cost."""
