"""UPS train: Lightning stages, losses, optimizers, schedules and trackers. Knows no YAML."""
