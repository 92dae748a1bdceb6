"""Writers of scans and images in other programs' formats."""
