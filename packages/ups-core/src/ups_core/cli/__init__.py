"""The commands `ups-run` and `ups`."""
