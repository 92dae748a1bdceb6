"""Stitching of patches into one image: placing, phase synchronisation, summation."""
