"""Measure what issue 3 promises: `python -m bench [names]` prints a table and keeps bench/results.json."""
