"""Iterative reconstructions by pty-chi, to hold the networks' images against."""
