"""Measurement of a package's speed and accuracy."""
