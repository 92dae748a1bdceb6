"""The package file: archive, manifest, signature, and the checks on opening it."""
