"""What is trained: one objective each."""
