"""What every engine keeps in a folder: blocks, state and log in one file, and readers of it."""
