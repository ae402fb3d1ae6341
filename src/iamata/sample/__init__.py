"""Synthetic patients for demonstrations, tests and measurements: FHIR R4, seeded, never a real person.

`generating.generate` streams bundles, `writing.write_sample` lays them out in a folder. The truth that a
learner may find again stands in `attacks` (who will have a heart attack) and in `risks` (who is ill).
Nothing here reads a clock, and nothing here is private.
"""
