"""Refinement: passes over the frames that improve an image under a known probe."""
