"""A scan in memory: frames with positions, and their counts as the network takes them."""
