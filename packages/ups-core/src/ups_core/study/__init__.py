"""Studies: a search over options of a spec that optimises a validation metric, one ordinary run per trial."""
