"""PDE problems, one module each."""
