"""Calibration: which frames of a scan choose, calibrate and report, and the ranges they span."""
