"""Conversion of a graph to FP16."""
