"""Facts of the FHIR R4 specification and the rules for labels, as data. No logic lives here."""
