"""The parts of a scan in whatever file: frames, positions, beam, detector."""
