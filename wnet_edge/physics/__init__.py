"""The physics of a far-field ptychographic scan: probe, objects, forward model, detector (numpy)."""
