"""Images while the scan runs: sources of frames, and the scan that grows from them."""
