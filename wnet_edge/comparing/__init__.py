"""Registration and comparison of two images of one object."""
