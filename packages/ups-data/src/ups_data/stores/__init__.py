"""How files map to canonical axes: PDEBench's layout, reading and writing it."""
