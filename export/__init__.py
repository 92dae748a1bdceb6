"""Export: a trained checkpoint in, one verified package file out (needs torch and onnx)."""
