"""File formats: one module per format, all reading to or writing from the same few types."""
