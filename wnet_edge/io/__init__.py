"""Files: one module a format, each reading to or writing from the same few types."""
