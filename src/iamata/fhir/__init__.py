"""FHIR R4 without I/O: what a resource is, whom it belongs to, what it refers to, how sensitive it is."""
