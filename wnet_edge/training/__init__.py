"""Training: simulated or measured frames in, a checkpoint of network weights out (needs torch)."""
