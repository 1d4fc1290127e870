"""UPS train: the Lightning stage, optimizers, strategies, launchers, sizing, tuning. Knows no YAML."""
