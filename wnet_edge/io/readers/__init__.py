"""Scan formats, one module each."""
