"""Exact and sparse direct generators of PDEBench-like data."""
