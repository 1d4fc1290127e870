"""UPS train: Lightning stages, losses, optimizers, strategies, launchers, sizing and tuning. Knows no YAML."""
