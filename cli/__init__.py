"""The `upstream` command, a module per noun. What a command needs is imported when it runs."""
