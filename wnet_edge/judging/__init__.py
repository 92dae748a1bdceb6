"""Accuracy of patches and images against ground truth."""
