"""A trained model applied to a user's own fields: what it expects, checks, predictions, files."""
