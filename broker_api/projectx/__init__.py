"""The adapter of the ProjectX Gateway."""
