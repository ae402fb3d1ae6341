"""Reads files, folders and archives of FHIR records into entries, safely."""
