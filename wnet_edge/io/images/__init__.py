"""Files that hold an image of the object."""
