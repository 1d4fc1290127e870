"""Windows, samplers, loaders, symmetries and seeds: how batches are drawn."""
