"""Where the files of a task come from."""
