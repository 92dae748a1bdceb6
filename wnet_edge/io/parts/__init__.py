"""Parts of a scan, independent of the file format: frames, positions, beam, detector."""
