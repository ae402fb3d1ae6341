"""Stores in SQLite files: one file a store, one schema a file, one durable transaction a change."""
