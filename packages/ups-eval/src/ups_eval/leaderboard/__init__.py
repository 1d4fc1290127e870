"""A leaderboard that survives: an SQLite file of scored models, ranked by what a test set can tell apart."""
