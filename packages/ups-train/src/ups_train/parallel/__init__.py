"""Several processes: strategies, shards and ranks."""
