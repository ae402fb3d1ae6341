"""A node's own long-running work, which nobody asks for."""
