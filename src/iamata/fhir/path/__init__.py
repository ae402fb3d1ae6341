"""FHIRPath on FHIR R4: parsed once, checked against the definitions, compiled to closures."""
