"""Choice and tuning of the run settings of a package."""
