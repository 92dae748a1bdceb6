"""Which provider and precision run a package."""
