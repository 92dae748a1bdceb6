"""TIFF files, read without trusting them."""
