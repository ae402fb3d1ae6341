"""A node's HTTP surface: a table of routes, each a thin function over one use case."""
