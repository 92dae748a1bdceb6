"""The installation and the machine, examined."""
