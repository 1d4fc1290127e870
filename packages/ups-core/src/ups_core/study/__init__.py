"""`ups tune`: a study over options of a spec that minimises a validation metric."""
