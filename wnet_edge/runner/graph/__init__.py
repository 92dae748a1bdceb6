"""Inference sessions: a package's graph opened on an execution provider."""
