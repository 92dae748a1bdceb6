"""Patches to one image: placed, phases synchronised, summed."""
