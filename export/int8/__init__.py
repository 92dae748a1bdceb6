"""Quantisation of a graph to INT8."""
