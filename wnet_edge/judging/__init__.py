"""Patches and images held against ground truth."""
