"""How files map to canonical axes: reading and writing PDEBench's layout."""
