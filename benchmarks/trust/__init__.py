"""What the verdict on an image rests on: networks of every quality, for several probes."""
