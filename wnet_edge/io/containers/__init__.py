"""File containers, independent of their content: HDF5, TIFF, NumPy and text."""
