"""A scan: lazily read frames with positions, and their preparation for the network."""
