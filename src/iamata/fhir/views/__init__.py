"""Views of SQL-on-FHIR v2: from resources of one type to rows, as a definition says. Pure."""
