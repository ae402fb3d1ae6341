"""What a patient allows, and the one function that applies it: terms, decisions, permits. Pure."""
