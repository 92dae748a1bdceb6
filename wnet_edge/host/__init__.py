"""The operating system: input and output files, memory, signals."""
