"""The step `observations`: what a prior infers from a few points, beside classical methods."""
