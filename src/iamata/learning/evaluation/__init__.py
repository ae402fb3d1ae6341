"""How good a model is, worked out from sums alone. Pure."""
