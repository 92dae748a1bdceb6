"""The package file: its manifest, its archive, its seal, and what opening it checks."""
