"""Say whether a resource has the structure that FHIR R4 gives it, and where it has not."""
