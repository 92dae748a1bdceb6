"""From one scan of an instrument to a package for it: probe, training, export, verdict."""
