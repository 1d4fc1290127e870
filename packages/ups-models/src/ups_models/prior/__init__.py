"""A generative prior of steady problems, joint in coefficient and solution, and its posterior."""
