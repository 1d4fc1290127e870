"""Data of any task in files that other loaders read."""
