"""From a scan's frames through an opened graph to an image, and its self-check."""
