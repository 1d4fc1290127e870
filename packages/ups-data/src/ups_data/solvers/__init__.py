"""Classical solvers of tasks: what a model is measured against, and what its residual is."""
