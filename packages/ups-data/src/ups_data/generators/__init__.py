"""Exact and sparse-direct generators of PDEBench-like data, and the writer of their files."""
