"""The one composition root: opens a home, wires its parts together, starts and stops them."""
