"""The INT8 graph."""
