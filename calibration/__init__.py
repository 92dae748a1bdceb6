"""Calibration of quantised graphs: held-out frames of a scan, and the value ranges they span."""
