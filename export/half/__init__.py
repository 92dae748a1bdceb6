"""The FP16 graph."""
