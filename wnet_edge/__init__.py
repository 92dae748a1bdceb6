"""Single-shot ptychography at the edge: from diffraction frames to an image of the object."""
