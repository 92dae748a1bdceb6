"""Calibration: which frames of a scan choose, calibrate and report (numpy only)."""
