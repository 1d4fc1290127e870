"""The report of a run: one HTML page that needs neither a network nor other files."""
