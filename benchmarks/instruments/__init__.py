"""Instruments that no training has seen: their scans, and how well a package made for each does."""
