"""A package's graph, opened on an execution provider."""
