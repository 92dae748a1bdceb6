"""Diagnosis of the installation and the machine."""
