"""HDF5 files, read without trusting them."""
