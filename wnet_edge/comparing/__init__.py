"""Two images of one object: registered, then compared."""
