"""The command line: nouns, then verbs. It says what happened in plain words, or in JSON for machines."""
