"""Where a task's files come from."""
