"""Safe reading of untrusted TIFF files."""
