"""Use cases, one module per topic. They do not call each other; what two of them need lies below."""
