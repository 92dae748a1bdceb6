"""The physics of a far-field scan: probe, objects, forward model, detector (numpy)."""
