"""Launchers: how the processes of a step are started, here or on another machine."""
