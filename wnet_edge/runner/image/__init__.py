"""A scan's frames through an opened graph to an image, and whether it can be trusted."""
