"""The command `ups data`."""
