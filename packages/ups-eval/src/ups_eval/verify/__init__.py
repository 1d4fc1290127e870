"""`ups verify`: proves that a run has the files that it left, and that its numbers follow from them."""
