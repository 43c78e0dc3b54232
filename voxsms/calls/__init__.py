"""One call, from its arguments to its outcome. Internal."""
