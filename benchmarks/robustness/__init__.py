"""How an image falls off as a scan differs from what its package was trained for."""
