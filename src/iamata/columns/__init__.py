"""Columns of values as Arrow batches, and the files that hold them. What the values mean, `fhir` says."""
