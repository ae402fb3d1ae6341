"""The embedded engine: one process, one writer, one signer who orders, and who says so."""
