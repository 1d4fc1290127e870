"""Studies: a search over options of a spec that minimises a validation metric, one ordinary run per trial."""
