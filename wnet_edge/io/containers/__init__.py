"""File containers: HDF5, TIFF, NumPy and text, whatever they hold."""
