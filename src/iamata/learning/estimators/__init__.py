"""Estimators that see nothing but sums, and equal their twins that see all rows at once. Pure."""
