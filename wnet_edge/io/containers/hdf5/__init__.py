"""Safe reading of untrusted HDF5 files."""
