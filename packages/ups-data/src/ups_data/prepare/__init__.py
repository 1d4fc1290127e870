"""From files to training data: splits, audit, statistics, opening."""
