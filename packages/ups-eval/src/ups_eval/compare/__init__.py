"""Runs side by side: seeds of one experiment, and experiments against each other."""
