"""A scan as it was found to one that a package can take: pixels, centre, crop, orientation."""
