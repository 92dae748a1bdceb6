"""The networks: one frame in, amplitude and phase of one patch out (needs torch)."""
