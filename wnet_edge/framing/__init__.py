"""From a scan as found to one that a package can take: pixels, centre, crop, orientation."""
